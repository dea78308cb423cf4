#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/engine_stats.h"
#include "engine/runner/step_plan.h"
#include "engine/scheduler/batch_planner.h"
#include "engine/scheduler/request_queues.h"

namespace krait {

class CachePools;

/// What happened to one request, for its stream.
struct RequestEvent {
  std::uint64_t key = 0;
  TokenEvent event;
};

/// Decides what each step computes and what its outcome means. Single-threaded, without locks, clocks or a model: time
/// comes in as an argument, memory through CachePools, tokens through StepResult. Requests are named by a key that the
/// caller draws, ascending in the order of arrival.
///
/// One round is `schedule`, the runner's work, `update`; `add` and `abort` may come at any time, also between the two.
/// While the runner works on a step, `schedule_ahead` may plan the next one, for its `update` to follow.
class Scheduler {
 public:
  Scheduler(SchedulerConfig config, CachePools& pools);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  void add(std::uint64_t key, EngineRequest request, TimePoint arrival);

  /// Ends a request with `reason`; unknown keys are ignored. The output of a step in flight is dropped for it, and its
  /// memory is free when that step is over.
  void abort(std::uint64_t key, FinishReason reason);

  /// The next step; empty exactly when no request is left. Requests past their deadline, and a request that cannot get
  /// memory though nobody else holds any, end here with an error. No step may be in flight.
  [[nodiscard]] StepPlan schedule(TimePoint now);

  /// The step after the one in flight, before its outcome is known: each request that it decodes and that will not end
  /// with it for certain decodes one token more. Empty where only the outcome can tell what comes next: a prompt in the
  /// step, or one that could be admitted; a request whose next token needs the last one on the host (a constraint,
  /// penalties, rows of logits); no memory. A request that turns out to have ended is computed in vain.
  [[nodiscard]] StepPlan schedule_ahead(TimePoint now);

  /// What the oldest step in flight gave. A request whose output is an error, missing or unsound ends with an error;
  /// its neighbours go on.
  void update(StepResult result, TimePoint now);

  /// The steps in flight are lost: every request in them ends with `error`.
  void fail_step(const Error& error);
  /// Every request ends: with `error` if there is one, or else as aborted.
  void end_all(const std::optional<Error>& error);

  /// Events since the last call, in the order in which they happened.
  [[nodiscard]] std::vector<RequestEvent> take_events();

  [[nodiscard]] bool idle() const { return queues_.empty() && in_flight_.empty(); }
  [[nodiscard]] int num_waiting() const { return static_cast<int>(queues_.waiting.size()); }
  [[nodiscard]] int num_running() const { return static_cast<int>(queues_.running.size()); }
  [[nodiscard]] EngineStats stats() const;
  /// Who waits and who runs, for those who audit the memory.
  [[nodiscard]] const RequestQueues& queues() const { return queues_; }

 private:
  // Planning, in scheduler.cpp.
  void expire(TimePoint now);
  void fail_starved(const std::vector<RequestState*>& starved);
  void fail_stuck_head();
  [[nodiscard]] StepPlan make_plan(std::vector<Piece> pieces, TimePoint now);
  void count_step(const StepPlan& plan);

  // Planning ahead, in schedule_ahead.cpp.
  [[nodiscard]] bool may_plan_ahead() const;
  [[nodiscard]] std::vector<Piece> decodes_ahead() const;
  [[nodiscard]] bool secure_ahead(Piece& piece);

  // Outcomes, in step_outcome.cpp.
  void learn_cost(const std::vector<Piece>& pieces, TimePoint now);
  void apply(const Piece& piece, StepOutput output, TimePoint now);
  /// Lists what the piece has computed, and keeps states where they pay.
  void keep_states(const Piece& piece);
  void append_tokens(RequestState& request, std::vector<SampledToken> tokens, TokenEvent event, TimePoint now);
  void emit(RequestState& request, TokenEvent event);
  void fail(RequestState& request, Error error);
  void finish(RequestState& request, FinishReason reason, TokenEvent event);
  void count_finish(FinishReason reason);
  /// Gives its memory back and forgets it.
  void drop(RequestState& request);

  /// Where prefixes are not shared, those of fork groups go with the last fork.
  void forget_fork(const RequestState& request);

  SchedulerConfig config_;
  CachePools& pools_;
  std::unordered_map<std::uint64_t, std::unique_ptr<RequestState>> requests_;
  RequestQueues queues_;
  std::deque<std::vector<Piece>> in_flight_;  ///< by step, the oldest first; at most two
  std::vector<RequestEvent> events_;
  std::shared_ptr<MaskThreads> mask_threads_;
  StepCost cost_;
  TimePoint step_start_{};  ///< of the oldest step in flight: from when on it had the machine for itself
  int forks_ = 0;           ///< live requests of fork groups
  EngineStats counters_;    ///< counters only; gauges are read off when asked for
};

}  // namespace krait
