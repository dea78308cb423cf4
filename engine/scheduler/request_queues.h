#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "engine/scheduler/request_state.h"

namespace krait {

class CachePools;

struct GoesBefore {
  bool operator()(const RequestState* a, const RequestState* b) const { return goes_before(*a, *b); }
};

/// Requests by who goes first. A preempted request takes the place that its arrival gives it: the front of its
/// priority, because within a priority nobody is admitted before somebody who came earlier.
using RequestOrder = std::set<RequestState*, GoesBefore>;

/// The waiting and the running requests. A waiting request holds no memory; a running one has a seat, a slot and pages.
struct RequestQueues {
  RequestOrder waiting;
  RequestOrder running;
  std::int64_t preemptions = 0;

  /// Takes everything from a running request and puts it back to wait. Its history stays and is computed again later.
  void preempt(RequestState& request, CachePools& pools);
  /// Takes it out of whichever queue it is in.
  void remove(RequestState& request);
  [[nodiscard]] bool empty() const { return waiting.empty() && running.empty(); }
  /// The request that would be served first, or null.
  [[nodiscard]] RequestState* head() const;
};

}  // namespace krait
