#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/cache/cache_pools.h"
#include "engine/cache/prefix_index.h"
#include "engine/scheduler/scheduler.h"
#include "tests/engine/fakes/fake_platform.h"
#include "tests/engine/fakes/fake_runner.h"
#include "tests/engine/fakes/history_model.h"

namespace krait::test {

/// What a request's reader has seen so far.
struct Outcome {
  Answer answer;
  std::optional<Error> error;
  RequestStats stats;
  int events_after_end = 0;

  void take(TokenEvent event) {
    if (answer.finish) ++events_after_end;
    for (const SampledToken& token : event.tokens) answer.tokens.push_back(token.token);
    for (const SampledToken& token : event.prompt) answer.scores.emplace_back(token.token, token.logprob);
    for (auto& row : event.logits) answer.logits.push_back(std::move(row));
    if (event.finish) answer.finish = event.finish;
    if (event.stop_token) answer.stop_token = event.stop_token;
    if (event.error) error = std::move(event.error);
    stats = event.stats;
  }
};

/// Pages of 4 tokens in two KV groups, and state slots: small enough to run out of.
inline CacheLayout small_layout() {
  return {.block_size = 4,
          .kv_groups = {{.name = "full", .page_bytes = 32, .sliding_window = 0},
                        {.name = "window", .page_bytes = 48, .sliding_window = 0}},
          .slot_bytes = 64};
}

/// Snapshots become smaller than slots; what the runner writes to a slot lies before the states that are rounded.
inline void pack_snapshots(CacheLayout& layout) {
  layout.float_states = {{.offset = 16, .bytes = 24}, {.offset = 56, .bytes = 8}};
  layout.snapshot_dtype = DType::kBFloat16;
}

inline EngineRequest request_of(int prompt_tokens, int max_tokens, std::uint64_t seed = 0) {
  EngineRequest request;
  for (int i = 0; i < prompt_tokens; ++i) {
    request.prompt.push_back(static_cast<std::int32_t>(mix(seed * 1000 + static_cast<std::uint64_t>(i)) % kVocab));
  }
  request.sampling.max_tokens = max_tokens;
  request.sampling.seed = seed;
  return request;
}

inline Error error_of(const std::string& message) {
  return {.code = ErrorCode::kInternal, .message = message, .field = {}};
}

/// A scheduler with fakes around it, one simulated millisecond a step.
class Harness {
 public:
  explicit Harness(const SchedulerConfig& config, const CacheLayout& layout = small_layout(),
                   std::size_t budget = std::size_t{1} << 20U, bool prefix_caching = false)
      : pools(platform, layout, budget),
        scheduler(config, pools),
        runner(pools, log, config.max_num_batched_tokens, config.max_num_seqs) {
    if (prefix_caching) pools.enable_prefix_index();
  }

  std::uint64_t add(const EngineRequest& request) {
    scheduler.add(++last_key, request, now);
    runner.learn(last_key, request.prompt);
    return last_key;
  }

  /// Plans, without running it, and notes what ended in planning.
  StepPlan plan() {
    StepPlan plan = scheduler.schedule(now);
    collect();
    return plan;
  }

  void finish_step(StepPlan plan) {
    now += std::chrono::milliseconds(1);
    scheduler.update(runner.wait(runner.submit(std::move(plan))), now);
    collect();
  }

  /// The step, and steps planned ahead behind it for as long as `goes_on` says so and the scheduler has any. `between`
  /// is called while a step or two are in flight.
  void finish_steps(StepPlan plan, const std::function<bool()>& goes_on, const std::function<void()>& between) {
    StepHandle handle = runner.submit(std::move(plan));
    while (true) {
      std::optional<StepHandle> next;
      if (goes_on()) {
        StepPlan ahead = scheduler.schedule_ahead(now);
        collect();
        if (!ahead.requests.empty()) next = runner.submit(std::move(ahead));
      }
      between();
      now += std::chrono::milliseconds(1);
      scheduler.update(runner.wait(handle), now);
      collect();
      if (!next) return;
      handle = *next;
    }
  }

  /// False when nothing was left to do.
  bool step() {
    StepPlan next = plan();
    if (next.requests.empty()) return false;
    finish_step(std::move(next));
    return true;
  }

  void run() {
    while (step()) {
    }
  }

  void collect() {
    for (RequestEvent& event : scheduler.take_events()) outcomes[event.key].take(std::move(event.event));
  }

  /// Not one byte is held any more, but by the index, which can let go of all.
  [[nodiscard]] bool empty() {
    const EngineStats before = scheduler.stats();
    if (!scheduler.idle() || before.cache_bytes_used != before.cache_bytes_cached) return false;
    if (pools.prefix_index() != nullptr) pools.prefix_index()->clear();
    const EngineStats stats = scheduler.stats();
    return stats.cache_bytes_used == 0 && stats.kv_pages_used == 0 && stats.state_slots_used == 0 &&
           stats.swap_bytes_used == 0;
  }

  FakePlatform platform;
  CachePools pools;
  Scheduler scheduler;
  RunnerLog log;
  FakeRunner runner;
  std::map<std::uint64_t, Outcome> outcomes;
  TimePoint now = TimePoint{} + std::chrono::hours(1);
  std::uint64_t last_key = 0;
};

}  // namespace krait::test
