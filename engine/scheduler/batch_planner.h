#pragma once

#include <cstdint>
#include <vector>

#include "engine/scheduler/request_queues.h"
#include "engine/scheduler/snapshot_rules.h"

namespace krait {

struct SchedulerConfig {
  int max_num_seqs = 64;              ///< requests that run at once
  int max_num_batched_tokens = 2048;  ///< token budget of a step
  int prefill_tile = 16;  ///< prefill pieces that do not end their history are multiples of this where they can be
  SnapshotConfig snapshots{};
};

/// A state to keep inside a piece: what has been computed at `position`, in a slot that the piece holds.
struct PieceSnapshot {
  int position = 0;
  std::int32_t slot = 0;
};

/// The next `tokens` tokens of a request's history, to be computed in this step.
struct Piece {
  RequestState* request = nullptr;
  int tokens = 0;
  std::vector<PieceSnapshot> snapshots{};
};

/// Forms the batch of one step: who takes part, with how many tokens, and the memory for them. Made anew for each step.
///
/// What always holds: the request that goes before all others can preempt everybody else, so it either takes part or
/// does not fit the memory alone (then it is in `starved`); nobody is preempted for one who goes after him. From this
/// follows that there is no livelock.
class BatchPlanner {
 public:
  BatchPlanner(const SchedulerConfig& config, CachePools& pools, RequestQueues& queues)
      : config_(config), pools_(pools), queues_(queues), tokens_left_(config.max_num_batched_tokens) {}

  void plan();

  /// Decodes first, then prefill pieces.
  [[nodiscard]] const std::vector<Piece>& pieces() const { return pieces_; }
  /// Requests that found no memory though nobody else holds any: the caller must fail them.
  [[nodiscard]] const std::vector<RequestState*>& starved() const { return starved_; }

 private:
  void plan_decodes();
  void plan_prefills();
  /// The prefill that goes first: a running one, or a waiting one of higher priority or when no running one is left,
  /// once admitted.
  [[nodiscard]] RequestState* next_prefill();
  [[nodiscard]] RequestState* first_running_prefill() const;
  /// As many tokens as the budget and memory allow; 0 when there is no memory.
  int plan_prefill(RequestState& request);
  void add_piece(RequestState& request, int tokens);
  /// A length for a piece of at most `limit` tokens: all that remains, or else a multiple of the tile, or else `limit`.
  [[nodiscard]] int piece_length(const RequestState& request, int limit) const;

  // Memory, in batch_memory.cpp.

  /// Pages for at most `wanted` further tokens; preempts those who go after `request` when there is not even one.
  [[nodiscard]] int secure_memory(RequestState& request, int wanted);
  /// Moves a waiting request to the running ones, with its slot.
  [[nodiscard]] bool admit(RequestState& request);
  /// Whether there is a seat and memory for the whole history; preempts requests of lower priority if that, and only
  /// that, gives both.
  [[nodiscard]] bool make_room(const RequestState& request);
  /// Where others can be asked for memory, what they keep for later goes first.
  [[nodiscard]] bool drop_recent_states();
  void preempt(RequestState& victim);
  /// Slots for the snapshots inside a piece, as far as there is memory that nobody needs.
  void plan_snapshots(Piece& piece);

  const SchedulerConfig& config_;
  CachePools& pools_;
  RequestQueues& queues_;
  int tokens_left_;
  std::vector<Piece> pieces_;
  std::vector<RequestState*> starved_;
  std::vector<RequestState*> stalled_;  ///< prefills that found no memory in this step
};

}  // namespace krait
