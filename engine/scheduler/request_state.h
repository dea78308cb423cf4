#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/constraint/mask_session.h"
#include "engine/request/engine_request.h"
#include "engine/request/token_stream.h"
#include "engine/scheduler/logits_rows.h"
#include "engine/scheduler/moved_cache.h"
#include "engine/scheduler/prompt_scores.h"
#include "engine/scheduler/request_cache.h"
#include "engine/scheduler/snapshot_rules.h"
#include "kernels/sampling.h"

namespace krait {

using TimePoint = std::chrono::steady_clock::time_point;

/// One live request: what was asked, how far it is, and what it holds. Owned by the Scheduler at an address that does
/// not move, so that the spans of a SampleRow may point into it while a step is in flight.
struct RequestState {
  RequestState(std::uint64_t key_in, EngineRequest request_in, TimePoint arrival);

  std::uint64_t key;  ///< ascending in the order of arrival
  EngineRequest request;
  std::vector<std::int32_t> history;  ///< the prompt, then the tokens generated so far; preemption keeps it
  int num_computed = 0;               ///< tokens of `history` that are in the caches
  RequestCache cache;
  std::unique_ptr<const MovedCache> moved;  ///< of a preempted request, if that is cheaper than to compute it again
  int path_tokens = 0;                      ///< where it left what others had computed
  int overtaken = 0;                        ///< by requests behind it that fitted while it did not
  LogitsRows logits;
  PromptScores scores;
  std::unique_ptr<MaskSession> mask;  ///< of a constrained request
  RequestStats stats;
  std::uint64_t last_step = 0;  ///< the last step that it was part of
  int steps_in_flight = 0;
  /// Its last event is out; only the steps in flight keep it, whose output will be dropped.
  bool finished = false;

  [[nodiscard]] int num_prompt() const { return static_cast<int>(request.prompt.size()); }
  [[nodiscard]] int num_tokens() const { return static_cast<int>(history.size()); }
  [[nodiscard]] int num_generated() const { return num_tokens() - num_prompt(); }
  /// Tokens that must be computed before the next one can be sampled.
  [[nodiscard]] int remaining() const { return num_tokens() - num_computed; }
  /// Only the token sampled last is left to compute. Everything else, a history to recompute included, is a prefill.
  [[nodiscard]] bool is_decode() const { return num_generated() > 0 && remaining() == 1; }
  [[nodiscard]] SnapshotFacts snapshot_facts() const {
    return {.cache_points = request.cache_points,
            .num_tokens = num_tokens(),
            .path_tokens = path_tokens,
            .fork_tokens = request.fork_group.empty() ? 0 : num_prompt()};
  }
  /// Whether a cached prefix may stand for computing it: not where a caller wants to see rows of the prompt.
  [[nodiscard]] bool may_reuse_prefix() const;
  /// Tokens of its prompt that siblings of its fork group can go on from, once they are computed.
  [[nodiscard]] int fork_tokens(int block_size) const { return (num_prompt() - 1) / block_size * block_size; }
  /// What the row for the next token says to the sampler, or for the one after `unseen` tokens that are being sampled;
  /// its spans point into this request.
  [[nodiscard]] SampleRow sample_row(int unseen = 0) const;
};

/// Who goes first: the lower priority number, then the earlier arrival. Preemption takes the last one by this order.
inline bool goes_before(const RequestState& a, const RequestState& b) {
  if (a.request.priority != b.request.priority) return a.request.priority < b.request.priority;
  return a.key < b.key;
}

}  // namespace krait
