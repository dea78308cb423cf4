// Memory for the batch: pages and slots for whoever takes part, by preemption where there is not enough.

#include <algorithm>
#include <optional>
#include <vector>

#include "engine/cache/cache_pools.h"
#include "engine/cache/prefix_index.h"
#include "engine/scheduler/batch_planner.h"

namespace krait {
namespace {

/// Waiting requests that are tried in one step.
constexpr std::size_t kMostCandidates = 8;

/// After so many others were admitted before it for want of memory, a request is next, and all behind it wait.
constexpr int kMostOvertakings = 32;

/// What memory copies at least, on any machine that this is run on.
constexpr double kCopiedBytesASecond = 4e9;

}  // namespace

int BatchPlanner::secure_memory(RequestState& request, int wanted) {
  while (true) {
    const bool has_state = request.cache.secure_state(pools_);
    const int covered = has_state ? request.cache.grow(pools_, request.num_computed + wanted) : 0;
    if (covered > request.num_computed) return covered - request.num_computed;
    if (drop_recent_states()) continue;
    if (queues_.running.size() == 1 && request.cache.write_in_place(pools_)) continue;
    RequestState* last = *queues_.running.rbegin();
    if (last != &request) {
      preempt(*last);
      continue;
    }
    // Nobody goes after it: it keeps what it holds and sits this step out, while those before it go on; they preempt it
    // if need be.
    if (queues_.running.size() == 1) starved_.push_back(&request);
    return 0;
  }
}

RequestState* BatchPlanner::admit_next(int longest) {
  std::vector<RequestState*> passed;
  const std::vector<RequestState*> candidates = candidates_for_admission();
  for (RequestState* request : candidates) {
    if (admit(*request, longest)) {
      for (RequestState* over : passed) ++over->overtaken;
      return request;
    }
    if (request->overtaken >= kMostOvertakings) return nullptr;
    passed.push_back(request);
  }
  return nullptr;
}

std::vector<RequestState*> BatchPlanner::candidates_for_admission() const {
  std::vector<RequestState*> candidates;
  for (RequestState* request : queues_.waiting) {
    if (waits_for_sibling(*request)) continue;
    candidates.push_back(request);
    if (candidates.size() == kMostCandidates) break;
  }
  return candidates;
}

bool BatchPlanner::waits_for_sibling(const RequestState& request) const {
  const bool forks = !request.request.fork_group.empty() && request.may_reuse_prefix();
  if (!forks || pools_.prefix_index() == nullptr) return false;
  return std::ranges::any_of(queues_.running, [&](const RequestState* other) {
    return other->request.fork_group == request.request.fork_group &&
           other->num_computed < other->fork_tokens(pools_.layout().block_size);
  });
}

bool BatchPlanner::admit(RequestState& request, int longest) {
  PrefixMatch match;
  const bool in_group = !request.request.fork_group.empty();
  if (request.may_reuse_prefix() && (config_.share_prefixes || in_group)) {
    match = request.cache.start(
        pools_, config_.share_prefixes ? request.request.cache_salt : request.request.fork_group, request.history);
  }
  const bool comes_back = request.moved != nullptr && request.moved->computed > match.computed_tokens;
  const int computed = comes_back ? request.moved->computed : match.computed_tokens;
  if (request.num_tokens() - computed > longest) {
    request.cache.release(pools_);
    return false;
  }
  if (!make_room(request)) {
    request.cache.release(pools_);
    return false;
  }
  if ((comes_back && !request.cache.move_in(pools_, *request.moved)) || !request.cache.secure_state(pools_)) {
    request.cache.release(pools_);
    // The budget has room, the machine has not: wait until somebody ends, if there is somebody.
    if (queues_.running.empty()) starved_.push_back(&request);
    return false;
  }
  queues_.drop_moved(request);
  request.num_computed = computed;
  request.path_tokens = match.path_tokens;
  if (request.last_step == 0 && request.cache.lists_prefixes()) queues_.note_prefix(request, match);
  queues_.waiting.erase(&request);
  queues_.running.insert(&request);
  return true;
}

bool BatchPlanner::make_room(const RequestState& request) {
  if (queues_.running.empty()) return starved_.empty();
  const auto seats = static_cast<std::size_t>(std::max(config_.max_num_seqs, 1));
  const std::size_t whole = pools_.bytes_for(request.num_tokens());
  const std::size_t needed = whole - std::min(whole, request.cache.page_bytes(pools_));
  const MemoryBudget& budget = pools_.budget();
  const auto enough = [&](std::size_t running, std::size_t freed) {
    return running < seats && budget.total() - budget.used() + pools_.idle_bytes() + freed >= needed;
  };

  // How many of lower priority would have to go, from the last one on; nobody goes if it were in vain.
  std::size_t freed = 0;
  std::size_t victims = 0;
  for (auto it = queues_.running.rbegin(); !enough(queues_.running.size() - victims, freed); ++it) {
    if (it == queues_.running.rend() || (*it)->request.priority <= request.request.priority) return false;
    freed += (*it)->cache.bytes(pools_);
    ++victims;
  }
  for (; victims > 0; --victims) preempt(**queues_.running.rbegin());
  return true;
}

bool BatchPlanner::drop_recent_states() {
  bool any = false;
  for (RequestState* request : queues_.running) {
    any = any || request->cache.has_recent();
    request->cache.drop_recent(pools_);
  }
  return any;
}

void BatchPlanner::plan_snapshots(Piece& piece) {
  const RequestState& request = *piece.request;
  if (pools_.slots() == nullptr || !request.cache.lists_prefixes()) return;
  const int end = request.num_computed + piece.tokens;
  for (const int position :
       snapshot_positions(config_.snapshots, request.snapshot_facts(), request.num_computed, end)) {
    // The state at the end of the piece is the request's own.
    if (position == end) continue;
    const std::optional<std::int32_t> slot = pools_.slots()->allocate();
    if (!slot) return;
    piece.snapshots.push_back({.position = position, .slot = *slot});
  }
}

void BatchPlanner::preempt(RequestState& victim) {
  std::erase_if(pieces_, [&](const Piece& piece) {
    if (piece.request != &victim) return false;
    tokens_left_ += piece.tokens;
    for (const PieceSnapshot& snapshot : piece.snapshots) pools_.slots()->release(snapshot.slot);
    return true;
  });
  queues_.preempt(victim, pools_, room_to_move(victim));
}

std::size_t BatchPlanner::room_to_move(const RequestState& victim) const {
  const std::size_t room = config_.swap_bytes - std::min(config_.swap_bytes, queues_.moved_bytes);
  const auto bytes = static_cast<double>(pools_.bytes_for(victim.num_computed));
  const std::optional<double> token = cost_.prefill_token_seconds();
  // Out and back, against computing it again.
  return token && 2 * bytes / kCopiedBytesASecond > *token * victim.num_computed ? 0 : room;
}

}  // namespace krait
