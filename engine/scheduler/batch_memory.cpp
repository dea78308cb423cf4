// Memory for the batch: pages and slots for whoever takes part, by preemption where there is not enough.

#include <algorithm>

#include "engine/cache/cache_pools.h"
#include "engine/scheduler/batch_planner.h"

namespace krait {

int BatchPlanner::secure_memory(RequestState& request, int wanted) {
  while (true) {
    const int covered = request.cache.grow(pools_, request.num_computed + wanted);
    if (covered > request.num_computed) return covered - request.num_computed;
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

bool BatchPlanner::admit(RequestState& request) {
  if (!make_room(request)) return false;
  if (!request.cache.take_slot(pools_)) {
    // The budget has room, the machine has not: wait until somebody ends, if there is somebody.
    if (queues_.running.empty()) starved_.push_back(&request);
    return false;
  }
  queues_.waiting.erase(&request);
  queues_.running.insert(&request);
  return true;
}

bool BatchPlanner::make_room(const RequestState& request) {
  if (queues_.running.empty()) return starved_.empty();
  const auto seats = static_cast<std::size_t>(std::max(config_.max_num_seqs, 1));
  const std::size_t needed = pools_.bytes_for(request.num_tokens());
  const MemoryBudget& budget = pools_.budget();
  const auto enough = [&](std::size_t running, std::size_t freed) {
    return running < seats && budget.total() - budget.used() + freed >= needed;
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

void BatchPlanner::preempt(RequestState& victim) {
  std::erase_if(pieces_, [&](const Piece& piece) {
    if (piece.request != &victim) return false;
    tokens_left_ += piece.tokens;
    return true;
  });
  queues_.preempt(victim, pools_);
}

}  // namespace krait
