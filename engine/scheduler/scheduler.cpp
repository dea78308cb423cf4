#include "engine/scheduler/scheduler.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/cache/prefix_index.h"
#include "engine/scheduler/step_request.h"

namespace krait {

namespace {

/// Masks are computed while the model runs on all cores: a few threads are enough, more would only be in its way.
constexpr int kMaskThreads = 2;

}  // namespace

Scheduler::Scheduler(SchedulerConfig config, CachePools& pools)
    : config_(config), pools_(pools), mask_threads_(std::make_shared<MaskThreads>(kMaskThreads)) {}

Scheduler::~Scheduler() {
  for (auto& [key, request] : requests_) request->cache.release(pools_);
}

void Scheduler::add(std::uint64_t key, EngineRequest request, TimePoint arrival) {
  auto state = std::make_unique<RequestState>(key, std::move(request), arrival);
  if (state->num_prompt() == 0) KRAIT_BUG("a request without a prompt reached the scheduler");
  if (state->request.constraint != nullptr) {
    state->mask = std::make_unique<MaskSession>(state->request.constraint, mask_threads_);
  }
  if (!state->request.fork_group.empty()) ++forks_;
  queues_.waiting.insert(state.get());
  if (!requests_.emplace(key, std::move(state)).second) KRAIT_BUG("two requests with one key");
}

void Scheduler::abort(std::uint64_t key, FinishReason reason) {
  const auto found = requests_.find(key);
  if (found != requests_.end() && !found->second->finished) finish(*found->second, reason, {});
}

StepPlan Scheduler::schedule(TimePoint now) {
  if (!in_flight_.empty()) KRAIT_BUG("a step is planned while another one is in flight");
  expire(now);
  while (!queues_.empty()) {
    BatchPlanner planner(config_, pools_, queues_, cost_);
    planner.plan();
    fail_starved(planner.starved());
    if (!planner.pieces().empty()) {
      step_start_ = now;
      return make_plan(planner.pieces(), now);
    }
    if (planner.starved().empty()) fail_stuck_head();
  }
  return {};
}

void Scheduler::expire(TimePoint now) {
  std::vector<RequestState*> expired;
  for (const RequestOrder* queue : {&queues_.running, &queues_.waiting}) {
    for (RequestState* request : *queue) {
      if (request->request.deadline && *request->request.deadline <= now) expired.push_back(request);
    }
  }
  for (RequestState* request : expired) {
    fail(*request, {.code = ErrorCode::kDeadlineExceeded,
                    .message = "the request's deadline passed after " + std::to_string(request->num_generated()) +
                               " of at most " + std::to_string(request->request.sampling.max_tokens) + " tokens",
                    .field = {}});
  }
}

void Scheduler::fail_starved(const std::vector<RequestState*>& starved) {
  for (RequestState* request : starved) {
    fail(*request,
         {.code = ErrorCode::kResourceExhausted,
          .message = "no cache memory for the request's next token after " + std::to_string(request->num_computed) +
                     " tokens, though no other request holds any: " + std::to_string(pools_.budget().used()) + " of " +
                     std::to_string(pools_.budget().total()) + " bytes are in use",
          .field = {}});
  }
}

/// The watchdog: no input should lead here; if one does, it costs one request and not the server, and says how the
/// queues stood.
void Scheduler::fail_stuck_head() {
  const RequestState& head = *queues_.head();
  fail(*queues_.head(),
       {.code = ErrorCode::kInternal,
        .message = "the scheduler found nothing to compute for " + std::to_string(num_running()) + " running and " +
                   std::to_string(num_waiting()) + " waiting requests (" +
                   std::to_string(config_.max_num_batched_tokens) + " tokens a step, " +
                   std::to_string(config_.max_num_seqs) + " seats, " + std::to_string(pools_.budget().used()) + " of " +
                   std::to_string(pools_.budget().total()) + " cache bytes in use, " +
                   std::to_string(pools_.idle_bytes()) + " of them only cached); the first, '" + head.request.id +
                   "' of priority " + std::to_string(head.request.priority) + ", has " +
                   std::to_string(head.num_computed) + " of " + std::to_string(head.num_tokens()) +
                   " tokens computed, was preempted " + std::to_string(head.stats.preemptions) + " and overtaken " +
                   std::to_string(head.overtaken) + " times; it was ended",
        .field = {}});
}

StepPlan Scheduler::make_plan(std::vector<Piece> pieces, TimePoint now) {
  StepPlan plan{.step = static_cast<std::uint64_t>(++counters_.steps_total), .requests = {}};
  plan.requests.reserve(pieces.size());
  for (const Piece& piece : pieces) {
    RequestState& request = *piece.request;
    if (request.last_step == 0) {
      request.stats.first_scheduled = now;
      counters_.prompt_tokens_total += request.num_prompt();
    }
    request.last_step = plan.step;
    ++request.steps_in_flight;
    plan.requests.push_back(piece.source < 0 ? make_step_request(piece) : make_step_request_ahead(piece));
  }
  in_flight_.push_back(std::move(pieces));
  count_step(plan);
  return plan;
}

void Scheduler::count_step(const StepPlan& plan) {
  for (const StepRequest& request : plan.requests) {
    counters_.computed_tokens_total += static_cast<std::int64_t>(request.tokens.size());
  }
  // Decodes come first: a mixed step begins with one and does not end with one.
  if (plan.requests.front().is_decode && !plan.requests.back().is_decode) ++counters_.mixed_steps_total;
}

std::vector<RequestEvent> Scheduler::take_events() { return std::exchange(events_, {}); }

EngineStats Scheduler::stats() const {
  EngineStats stats = counters_;
  stats.requests_running = num_running();
  stats.requests_waiting = num_waiting();
  stats.preemptions_total = queues_.preemptions;
  stats.preemptions_moved = queues_.moves;
  stats.swap_bytes_used = queues_.moved_bytes;
  stats.cache_bytes_used = pools_.budget().used();
  stats.cache_bytes_total = pools_.budget().total();
  stats.cache_bytes_cached = pools_.idle_bytes();
  stats.prefix_queries = queues_.prefixes.requests;
  stats.prefix_short_queries = queues_.prefixes.too_short;
  stats.prefix_new_salts = queues_.prefixes.new_salts;
  stats.prefix_queried_tokens = queues_.prefixes.queried;
  stats.prefix_hit_tokens = queues_.prefixes.hit;
  stats.prefix_lost_tokens = queues_.prefixes.lost;
  if (const PrefixIndex* index = pools_.prefix_index()) {
    stats.prefix_snapshots = index->stats().snapshots;
    stats.prefix_blocks = index->stats().nodes;
    stats.prefix_evicted_blocks = index->stats().evicted_blocks;
    stats.prefix_evicted_snapshots = index->stats().evicted_snapshots;
  }
  if (pools_.slots() != nullptr) stats.state_slots_used = pools_.slots()->used() - pools_.slots()->idle();
  for (std::size_t group = 0; group < pools_.layout().kv_groups.size(); ++group) {
    stats.kv_pages_used += pools_.pages(group).used() - pools_.pages(group).idle();
  }
  return stats;
}

}  // namespace krait
