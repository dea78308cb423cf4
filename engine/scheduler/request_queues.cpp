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
  if (match.cursor != nullptr) ++prefixes.requests;  // else there is no index, or it was not to be asked
  prefixes.too_short += match.too_short ? 1 : 0;
  prefixes.new_salts += match.new_salt && !match.too_short ? 1 : 0;
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
