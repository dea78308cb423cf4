#include "engine/scheduler/request_queues.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/cache/prefix_index.h"

namespace krait {

void RequestQueues::preempt(RequestState& request, CachePools& pools, std::size_t room) {
  running.erase(&request);
  const std::size_t needed = pools.bytes_for(request.num_computed);
  if (needed <= room) {
    if (std::optional<MovedCache> moved = request.cache.move_out(pools, request.num_computed)) {
      moved_bytes += moved->bytes();
      ++moves;
      request.moved = std::make_unique<MovedCache>(std::move(*moved));
    }
  }
  request.cache.release(pools);
  request.num_computed = 0;
  ++request.stats.preemptions;
  ++preemptions;
  waiting.insert(&request);
}

void RequestQueues::drop_moved(RequestState& request) {
  if (request.moved == nullptr) return;
  moved_bytes -= request.moved->bytes();
  request.moved.reset();
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
  drop_moved(request);
}

RequestState* RequestQueues::head() const {
  if (running.empty()) return waiting.empty() ? nullptr : *waiting.begin();
  return *running.begin();
}

}  // namespace krait
