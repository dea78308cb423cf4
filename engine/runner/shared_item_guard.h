#pragma once

#include <cstdint>
#include <vector>

namespace krait {

class CachePools;
class ItemPool;
struct StepPlan;

/// For debug builds: while it lives, the pages and slots of a step that anyone but their request may read cannot be
/// written, so that whoever writes one (a replay that stores its K and V, say) is caught in the act. Only whole pages
/// of the system can be guarded: small items are where they lie side by side.
class SharedItemGuard {
 public:
  SharedItemGuard(CachePools& pools, const StepPlan& plan);
  ~SharedItemGuard();
  SharedItemGuard(const SharedItemGuard&) = delete;
  SharedItemGuard& operator=(const SharedItemGuard&) = delete;

 private:
  struct Run {
    ItemPool* pool;
    std::int32_t first;
    std::int32_t count;
  };
  void guard(ItemPool& pool, std::vector<std::int32_t> items);

  std::vector<Run> runs_;
};

}  // namespace krait
