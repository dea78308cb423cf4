#include "engine/scheduler/request_queues.h"

#include <algorithm>

#include "engine/cache/prefix_index.h"

namespace krait {

void RequestQueues::preempt(RequestState& request, CachePools& pools) {
  running.erase(&request);
  request.cache.release(pools);
  request.num_computed = 0;
  ++request.stats.preemptions;
  ++preemptions;
  waiting.insert(&request);
}

void RequestQueues::note_prefix(RequestState& request, const PrefixMatch& match) {
  request.stats.cached_tokens = match.computed_tokens;
  prefixes.queried += request.num_tokens();
  prefixes.hit += match.computed_tokens;
  prefixes.lost += std::max(0, match.page_tokens - match.computed_tokens);
}

void RequestQueues::remove(RequestState& request) {
  waiting.erase(&request);
  running.erase(&request);
}

RequestState* RequestQueues::head() const {
  if (running.empty()) return waiting.empty() ? nullptr : *waiting.begin();
  return *running.begin();
}

}  // namespace krait
