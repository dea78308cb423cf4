#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/service/service_observer.h"

namespace krait::server {

/// Where a model's counters are read from at every scrape.
struct MetricsSource {
  std::string model_name;
  std::function<EngineStats()> stats;
};

/// The server's metrics in Prometheus' text format. Names are vLLM's with the prefix `krait:`, labels vLLM's
/// `model_name`. Gauges and counters are the engine's own and are read when somebody asks; the histograms are filled as
/// requests go by. Thread-safe.
class Metrics : public ServiceObserver {
 public:
  /// With `vllm_names` (`--vllm-metrics`), what vLLM has too is there under vLLM's names as well (`vllm_names.h`).
  explicit Metrics(bool vllm_names = false);
  ~Metrics() override;

  void add_source(MetricsSource source);
  [[nodiscard]] std::string text() const;

  void on_first_token(const std::string& model, std::chrono::duration<double> since_arrival) override;
  void on_next_tokens(const std::string& model, std::chrono::duration<double> since_last, int tokens) override;
  void on_choice_finished(const ChoiceRecord& record) override;

 private:
  struct Impl;
  bool vllm_names_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace krait::server
