#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "engine/engine_stats.h"
#include "server/metrics/no_hits.h"
#include "server/service/service_observer.h"

namespace krait::server {

/// Says once that the prefix cache is asked much and never has anything, and why. Looks when a request ends, until it
/// has warned or something was hit; passes everything on to another observer. Thread-safe.
class PrefixWatch final : public ServiceObserver {
 public:
  /// `warn` is called at most once. `next` lives as long as this.
  PrefixWatch(ServiceObserver& next, std::function<void(const std::string&)> warn)
      : next_(next), warn_(std::move(warn)) {}

  /// From here on `stats` is looked at. Before the model's first request.
  void watch(PrefixSetup setup, std::function<EngineStats()> stats);

  void on_first_token(const std::string& model, std::chrono::duration<double> since_arrival) override;
  void on_next_tokens(const std::string& model, std::chrono::duration<double> since_last, int tokens) override;
  void on_choice_finished(const ChoiceRecord& record) override;

 private:
  ServiceObserver& next_;
  std::function<void(const std::string&)> warn_;
  PrefixSetup setup_;
  std::function<EngineStats()> stats_;
  std::atomic<bool> watching_{false};
};

}  // namespace krait::server
