#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace krait {

class CachePools;

/// The pages and the slot that one request holds. Whoever lets go of it must call `release` first: it keeps no pointer
/// to the pools.
class RequestCache {
 public:
  /// The slot for the recurrent state. True when the model has none, or it is held already; false when there is no
  /// room.
  [[nodiscard]] bool take_slot(CachePools& pools);

  /// Adds pages, in every group, towards the first `tokens` tokens of the sequence, as many as memory allows. Returns
  /// how many tokens the pages now cover, at most `tokens`. What was added stays held when it is not enough.
  [[nodiscard]] int grow(CachePools& pools, int tokens);

  void release(CachePools& pools);
  /// What `release` would give back to the budget.
  [[nodiscard]] std::size_t bytes(const CachePools& pools) const;

  [[nodiscard]] std::int32_t slot() const { return slot_; }  ///< 0: none
  [[nodiscard]] const std::vector<std::vector<std::int32_t>>& pages() const { return pages_; }

 private:
  std::int32_t slot_ = 0;
  std::vector<std::vector<std::int32_t>> pages_;  ///< block table, one a KV group
};

}  // namespace krait
