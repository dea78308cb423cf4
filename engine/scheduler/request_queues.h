#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "engine/scheduler/request_state.h"

namespace krait {

class CachePools;
struct PrefixMatch;

/// What new requests looked for in the prefix index, in tokens, and how many they were.
struct PrefixCounters {
  std::int64_t requests = 0;
  std::int64_t too_short = 0;  ///< of them: no block could be reused
  std::int64_t new_salts = 0;  ///< of them: nothing was listed under their salt
  std::int64_t queried = 0;
  std::int64_t hit = 0;
  std::int64_t lost = 0;  ///< lay in pages, but no snapshot of the state was near
};

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
  std::int64_t moves = 0;       ///< of those, with what they held moved out
  std::size_t moved_bytes = 0;  ///< held outside the pools now
  PrefixCounters prefixes;

  /// Takes everything from a running request and puts it back to wait. Its history stays; what it held is moved out
  /// where `room` bytes hold it, or else computed again later.
  void preempt(RequestState& request, CachePools& pools, std::size_t room);
  /// Forgets what was moved out, if anything was.
  void drop_moved(RequestState& request);
  /// Counts what a new request found in the prefix index.
  void note_prefix(RequestState& request, const PrefixMatch& match);
  /// Takes it out of whichever queue it is in.
  void remove(RequestState& request);
  [[nodiscard]] bool empty() const { return waiting.empty() && running.empty(); }
  /// The request that would be served first, or null.
  [[nodiscard]] RequestState* head() const;
};

}  // namespace krait
