#include "engine/runner/shared_item_guard.h"

#include <algorithm>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/runner/step_plan.h"

namespace krait {

SharedItemGuard::SharedItemGuard(CachePools& pools, const StepPlan& plan) {
  for (std::size_t group = 0; group < pools.layout().kv_groups.size(); ++group) {
    std::vector<std::int32_t> items;
    for (const StepRequest& request : plan.requests) {
      items.insert(items.end(), request.pages[group].begin(), request.pages[group].end());
    }
    guard(pools.pages(group), std::move(items));
  }
  if (pools.slots() == nullptr) return;
  std::vector<std::int32_t> items;
  for (const StepRequest& request : plan.requests) {
    if (request.num_computed > 0) items.push_back(request.state_read);
  }
  guard(*pools.slots(), std::move(items));
}

SharedItemGuard::~SharedItemGuard() {
  for (const Run& run : runs_) run.pool->set_read_only(run.first, run.count, false);
}

void SharedItemGuard::guard(ItemPool& pool, std::vector<std::int32_t> items) {
  std::erase_if(items, [&](std::int32_t item) { return item == 0 || pool.is_exclusive(item); });
  std::ranges::sort(items);
  const auto repeated = std::ranges::unique(items);
  items.erase(repeated.begin(), repeated.end());
  for (std::size_t begin = 0; begin < items.size();) {
    std::size_t end = begin + 1;
    while (end < items.size() && items[end] == items[end - 1] + 1) ++end;
    runs_.push_back({&pool, items[begin], static_cast<std::int32_t>(end - begin)});
    pool.set_read_only(runs_.back().first, runs_.back().count, true);
    begin = end;
  }
}

}  // namespace krait
