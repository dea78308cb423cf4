#pragma once

#include <string>
#include <vector>

#include "engine/cache/cache_pools.h"
#include "engine/scheduler/scheduler.h"

namespace krait::test {

/// Counts every page, slot and snapshot anew, from the requests and the index alone, and compares with what the pools
/// and the budget say. Between two steps only, when nothing is in flight. Each line of the answer is something that
/// does not add up; none is what a test wants.
std::vector<std::string> audit_caches(const Scheduler& scheduler, CachePools& pools);

}  // namespace krait::test
