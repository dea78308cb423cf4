#include "engine/scheduler/request_queues.h"

namespace krait {

void RequestQueues::preempt(RequestState& request, CachePools& pools) {
  running.erase(&request);
  request.cache.release(pools);
  request.num_computed = 0;
  ++request.stats.preemptions;
  ++preemptions;
  waiting.insert(&request);
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
