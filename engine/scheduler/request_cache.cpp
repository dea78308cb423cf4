#include "engine/scheduler/request_cache.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "engine/cache/cache_pools.h"

namespace krait {

namespace {

/// Brings one block table to `blocks` pages, or as near as memory allows.
void grow_table(ItemPool& pool, std::size_t blocks, std::vector<std::int32_t>& table) {
  while (table.size() < blocks) {
    const std::optional<std::int32_t> page = pool.allocate();
    if (!page) return;
    table.push_back(*page);
  }
}

}  // namespace

bool RequestCache::take_slot(CachePools& pools) {
  if (pools.slots() == nullptr || slot_ != 0) return true;
  const std::optional<std::int32_t> slot = pools.slots()->allocate();
  if (slot) slot_ = *slot;
  return slot.has_value();
}

int RequestCache::grow(CachePools& pools, int tokens) {
  const int block_size = pools.layout().block_size;
  const int blocks = (tokens + block_size - 1) / block_size;
  pages_.resize(pools.layout().kv_groups.size());
  int covered = tokens;
  for (std::size_t group = 0; group < pages_.size(); ++group) {
    grow_table(pools.pages(group), static_cast<std::size_t>(blocks), pages_[group]);
    covered = std::min(covered, static_cast<int>(pages_[group].size()) * block_size);
  }
  return covered;
}

void RequestCache::release(CachePools& pools) {
  for (std::size_t group = 0; group < pages_.size(); ++group) {
    for (const std::int32_t page : pages_[group]) pools.pages(group).free(page);
    pages_[group].clear();
  }
  if (slot_ != 0) pools.slots()->free(slot_);
  slot_ = 0;
}

std::size_t RequestCache::bytes(const CachePools& pools) const {
  std::size_t bytes = slot_ != 0 ? pools.slots()->item_bytes() : 0;
  for (std::size_t group = 0; group < pages_.size(); ++group) {
    bytes += pages_[group].size() * pools.pages(group).item_bytes();
  }
  return bytes;
}

}  // namespace krait
