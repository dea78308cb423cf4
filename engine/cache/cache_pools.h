#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/cache/cache_layout.h"

namespace krait {

class Platform;
class ReservedMemory;

/// The one byte budget that all pools draw from (design, section 4). Counts committed bytes; never moves anything.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t total) : total_(total) {}
  [[nodiscard]] bool take(std::size_t bytes);
  void give_back(std::size_t bytes);
  [[nodiscard]] std::size_t total() const { return total_; }
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  std::size_t total_;
  std::size_t used_ = 0;
};

/// Items of one size in one reserved range: KV pages or state slots. Item 0 is the null item that padding points at; it is never
/// handed out. Memory is committed as the highest item in use grows, and counted against the budget. Used by the engine's thread only.
class ItemPool {
 public:
  ItemPool(Platform& platform, MemoryBudget& budget, std::size_t item_bytes);
  ~ItemPool();
  ItemPool(const ItemPool&) = delete;
  ItemPool& operator=(const ItemPool&) = delete;

  /// An item, or nullopt when the budget has no room for one more. Its content is whatever was left in it.
  [[nodiscard]] std::optional<std::int32_t> allocate();
  void free(std::int32_t item);

  [[nodiscard]] std::byte* base() const;  ///< first byte of item 0; never moves
  [[nodiscard]] std::size_t item_bytes() const { return item_bytes_; }
  [[nodiscard]] std::int64_t used() const { return used_; }

 private:
  std::size_t item_bytes_;
  MemoryBudget& budget_;
  std::unique_ptr<ReservedMemory> memory_;
  std::vector<std::int32_t> free_items_;
  std::int32_t next_item_ = 1;  ///< the lowest item that was never handed out
  std::int64_t used_ = 0;
};

/// All caches of one model: a page pool for each KV group, a slot pool where the model has recurrent state, one budget.
class CachePools {
 public:
  CachePools(Platform& platform, CacheLayout layout, std::size_t budget_bytes);

  [[nodiscard]] const CacheLayout& layout() const { return layout_; }
  [[nodiscard]] MemoryBudget& budget() { return budget_; }
  [[nodiscard]] ItemPool& pages(std::size_t group) { return *pages_[group]; }
  [[nodiscard]] ItemPool* slots() { return slots_.get(); }  ///< null for a model without recurrent state

  /// Bytes that one request of `tokens` tokens needs, null items aside: what "can never fit" is judged by.
  [[nodiscard]] std::size_t bytes_for(std::int64_t tokens) const;

 private:
  CacheLayout layout_;
  MemoryBudget budget_;
  std::vector<std::unique_ptr<ItemPool>> pages_;
  std::unique_ptr<ItemPool> slots_;
};

}  // namespace krait
