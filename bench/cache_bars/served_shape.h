#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/shapes/random_checkpoint.h"
#include "engine/serving_model.h"

namespace krait::bench {

using Tokens = std::vector<std::int32_t>;
using Clock = std::chrono::steady_clock;

/// What one request was given.
struct Reply {
  Tokens tokens;
  RequestStats stats;
  /// Tokens that went through the model for it; only of a request that ran alone.
  std::int64_t computed = 0;
  [[nodiscard]] double engine_seconds() const {
    return std::chrono::duration<double>(stats.last_token - stats.first_scheduled).count();
  }
};

/// One request, with when its tokens came.
class Stream {
 public:
  Stream(Engine& engine, EngineRequest request);
  /// Aborts what still runs, and waits for its end.
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Until it has ended; throws when it ends with an error.
  void wait();
  /// Until `count` tokens have come, or it has ended.
  void wait_tokens(std::size_t count);
  [[nodiscard]] std::vector<Clock::time_point> times() const;
  [[nodiscard]] Tokens tokens() const;
  [[nodiscard]] RequestStats stats() const;

 private:
  struct State;
  Engine& engine_;
  std::string id_;
  std::shared_ptr<State> state_;
};

/// A random checkpoint, served with the default options of `krait serve`.
class ServedShape {
 public:
  explicit ServedShape(const nlohmann::json& config, const std::function<void(LoadOptions&)>& change = {});
  /// The checkpoint in this folder.
  ServedShape(const std::string& folder, const std::function<void(LoadOptions&)>& change);
  [[nodiscard]] Engine& engine() { return serving_->engine(); }
  [[nodiscard]] const LoadOptions& options() const { return options_; }
  [[nodiscard]] const ModelSummary& summary() const { return serving_->summary(); }

  /// Greedy, to the length: random weights know no end.
  [[nodiscard]] EngineRequest request(Tokens prompt, int max_tokens);
  /// Runs it alone.
  Reply ask(EngineRequest request);

  /// Tokens from a stream of their own: another seed shares no block.
  [[nodiscard]] Tokens random_tokens(std::size_t count, std::uint64_t seed) const;

 private:
  void load(const std::string& folder, const std::function<void(LoadOptions&)>& change);

  std::unique_ptr<RandomCheckpoint> checkpoint_;  ///< null: somebody else's
  LoadOptions options_;
  std::unique_ptr<ServingModel> serving_;
  int requests_ = 0;
};

double median(std::vector<double> values);
/// The value that `share` of them do not exceed.
double percentile(std::vector<double> values, double share);

}  // namespace krait::bench
