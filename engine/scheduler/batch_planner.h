#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/scheduler/request_queues.h"
#include "engine/scheduler/snapshot_rules.h"
#include "engine/scheduler/step_cost.h"

namespace krait {

struct SchedulerConfig {
  int max_num_seqs = 64;              ///< requests that run at once
  int max_num_batched_tokens = 2048;  ///< token budget of a step
  int prefill_tile = 16;  ///< prefill pieces that do not end their history are multiples of this where they can be
  int row_tile =
      4;  ///< rows of a step with decodes are cut at multiples of it, where prompts have less than their tile
  double target_itl_seconds = 0;  ///< between two tokens of a stream while prompts are computed; 0: PrefillShare's rule
  /// Prefixes are shared among all requests of a salt, if the pools have an index; false: in fork groups only.
  bool share_prefixes = true;
  std::size_t swap_bytes = 0;  ///< that what preempted requests held may take outside the pools
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
  /// Of a piece that was planned ahead: the piece of the step before whose token it computes; else -1.
  int source = -1;
  /// Pages that it reads and that its request may let go of meanwhile, by KV group: the piece holds them.
  std::vector<std::pair<std::size_t, std::int32_t>> held_pages{};
};

/// Forms the batch of one step: who takes part, with how many tokens, and the memory for them. Made anew for each step.
///
/// What always holds: the request that goes before all others can preempt everybody else, so it either takes part or
/// does not fit the memory alone (then it is in `starved`); nobody is preempted for one who goes after him. From this
/// follows that there is no livelock.
class BatchPlanner {
 public:
  BatchPlanner(const SchedulerConfig& config, CachePools& pools, RequestQueues& queues, const StepCost& cost)
      : config_(config), pools_(pools), queues_(queues), cost_(cost), tokens_left_(config.max_num_batched_tokens) {}

  void plan();

  /// Decodes first, then prefill pieces.
  [[nodiscard]] const std::vector<Piece>& pieces() const { return pieces_; }
  /// Requests that found no memory though nobody else holds any: the caller must fail them.
  [[nodiscard]] const std::vector<RequestState*>& starved() const { return starved_; }

 private:
  void plan_decodes();
  void plan_prefills();
  /// Prompts that fit whole into `room` tokens, while `first` has to be cut anyway: they need not wait for its end.
  void plan_short_prefills(const RequestState& first, int room);
  /// The prefill that goes first: a running one, or a waiting one of higher priority or when no running one is left,
  /// once admitted.
  [[nodiscard]] RequestState* next_prefill();
  [[nodiscard]] RequestState* first_running_prefill() const;
  [[nodiscard]] bool is_planned(const RequestState& request) const;
  /// Room for prompts in this step, after its decodes.
  [[nodiscard]] int prefill_room() const;
  /// As many tokens as the budget and memory allow; 0 when there is no memory.
  int plan_prefill(RequestState& request);
  void add_piece(RequestState& request, int tokens);
  /// A length for a piece of at most `limit` tokens: all that remains, or else a multiple of the tile, or else `limit`.
  [[nodiscard]] int piece_length(const RequestState& request, int limit) const;

  // Memory, in batch_memory.cpp.

  /// Pages for at most `wanted` further tokens; preempts those who go after `request` when there is not even one.
  [[nodiscard]] int secure_memory(RequestState& request, int wanted);
  /// Admits the first waiting request that fits and has at most `longest` tokens to compute; null: there is none. One
  /// that does not fit is passed over, but not for ever.
  [[nodiscard]] RequestState* admit_next(int longest);
  [[nodiscard]] std::vector<RequestState*> candidates_for_admission() const;
  /// A sibling computes the prompt that they share: to wait for it costs less than to compute it too.
  [[nodiscard]] bool waits_for_sibling(const RequestState& request) const;
  /// Moves a waiting request to the running ones, with its slot, if at most `longest` tokens are left to compute.
  [[nodiscard]] bool admit(RequestState& request, int longest);
  /// Whether there is a seat and memory for the whole history; preempts requests of lower priority if that, and only
  /// that, gives both.
  [[nodiscard]] bool make_room(const RequestState& request);
  /// Where others can be asked for memory, what they keep for later goes first.
  [[nodiscard]] bool drop_recent_states();
  void preempt(RequestState& victim);
  /// Bytes that may hold what the victim has, outside the pools; 0 where it is cheaper to compute it again.
  [[nodiscard]] std::size_t room_to_move(const RequestState& victim) const;
  /// Slots for the snapshots inside a piece, as far as there is memory that nobody needs.
  void plan_snapshots(Piece& piece);

  const SchedulerConfig& config_;
  CachePools& pools_;
  RequestQueues& queues_;
  const StepCost& cost_;
  int tokens_left_;
  std::vector<Piece> pieces_;
  std::vector<RequestState*> starved_;
  std::vector<RequestState*> stalled_;  ///< prefills that found no memory in this step
};

}  // namespace krait
