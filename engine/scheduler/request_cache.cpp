#include "engine/scheduler/request_cache.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/cache/prefix_index.h"

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

PrefixMatch RequestCache::start(CachePools& pools, const std::string& salt, std::span<const std::int32_t> history) {
  PrefixMatch match;
  if (pools.prefix_index() == nullptr) return match;
  match = pools.prefix_index()->match(salt, history);
  pages_ = match.pages;
  (pools.packs_snapshots() ? packed_ : state_) = match.snapshot;
  cursor_ = match.cursor;
  shared_tokens_ = match.page_tokens;
  listed_blocks_ = match.page_tokens / pools.layout().block_size;
  return match;
}

bool RequestCache::secure_state(CachePools& pools) {
  ItemPool* slots = pools.slots();
  if (packed_ != 0) {
    const std::optional<std::int32_t> slot = pools.unpack(packed_);
    if (!slot) return false;
    state_ = *slot;
    drop_packed(pools);
  }
  if (slots == nullptr || next_ != 0 || (state_ != 0 && slots->is_exclusive(state_))) return true;
  const std::optional<std::int32_t> slot = slots->allocate();
  if (slot) next_ = *slot;
  return slot.has_value();
}

bool RequestCache::secure_state_ahead(CachePools& pools, bool keep) {
  ItemPool* slots = pools.slots();
  if (slots == nullptr || !keep) return true;
  if (ahead_ == 0) ahead_ = slots->allocate().value_or(0);
  return ahead_ != 0;
}

bool RequestCache::write_in_place(CachePools& pools) {
  if (state_ == 0 || pools.prefix_index() == nullptr) return false;
  const bool was_listed = !pools.slots()->is_exclusive(state_);
  if (was_listed) pools.prefix_index()->forget_snapshot(state_);
  if (!pools.slots()->is_exclusive(state_)) return false;
  const bool has_next = next_ != 0;
  if (has_next) pools.slots()->release(std::exchange(next_, 0));
  return was_listed || has_next;
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

void RequestCache::advance(CachePools& pools, std::span<const std::int32_t> history, int computed) {
  if (next_ != 0) {
    if (state_ != 0) pools.slots()->release(state_);
    state_ = std::exchange(next_, 0);
  }
  next_ = std::exchange(ahead_, 0);
  const int block_size = pools.layout().block_size;
  while (cursor_ != nullptr && (listed_blocks_ + 1) * block_size <= computed) {
    list_block(pools, history.subspan(static_cast<std::size_t>(listed_blocks_ * block_size),
                                      static_cast<std::size_t>(block_size)));
  }
  drop_passed_windows(pools, computed);
}

void RequestCache::list_block(CachePools& pools, std::span<const std::int32_t> block) {
  const auto at = static_cast<std::size_t>(listed_blocks_++);
  std::vector<std::int32_t> pages;
  for (const auto& table : pages_) pages.push_back(table[at]);
  pools.prefix_index()->extend(cursor_, block, pages);
  for (std::size_t group = 0; group < pages.size(); ++group) pages_[group][at] = pages[group];
}

void RequestCache::drop_passed_windows(CachePools& pools, int computed) {
  const auto& groups = pools.layout().kv_groups;
  for (std::size_t group = 0; group < pages_.size(); ++group) {
    if (groups[group].sliding_window == 0) continue;
    // As in the index, one token more than the window.
    const int needed = std::max(0, computed - groups[group].sliding_window) / pools.layout().block_size;
    auto& table = pages_[group];
    for (auto block = std::min<std::size_t>(static_cast<std::size_t>(needed), table.size()); block-- > 0;) {
      if (table[block] == 0) break;
      pools.pages(group).release(std::exchange(table[block], 0));
    }
  }
}

void RequestCache::snapshot_state(CachePools& pools, int computed) { snapshot_slot(pools, computed, state_); }

void RequestCache::snapshot_slot(CachePools& pools, int position, std::int32_t slot) {
  if (cursor_ == nullptr || position > listed_blocks_ * pools.layout().block_size) return;
  pools.prefix_index()->add_state(cursor_, position, slot);
}

void RequestCache::keep_recent(CachePools& pools, int computed) {
  if (cursor_ == nullptr || state_ == 0) return;
  drop_recent(pools);
  pools.slots()->retain(state_);
  recent_ = state_;
  recent_tokens_ = computed;
}

void RequestCache::drop_recent(CachePools& pools) {
  if (recent_ != 0) pools.slots()->release(std::exchange(recent_, 0));
}

void RequestCache::drop_packed(CachePools& pools) {
  if (packed_ != 0) pools.snapshots()->release(std::exchange(packed_, 0));
}

void RequestCache::release(CachePools& pools) {
  drop_packed(pools);
  if (recent_ != 0) snapshot_slot(pools, recent_tokens_, recent_);
  drop_recent(pools);
  for (std::size_t group = 0; group < pages_.size(); ++group) {
    for (const std::int32_t page : pages_[group]) {
      if (page != 0) pools.pages(group).release(page);
    }
    pages_[group].clear();
  }
  for (std::int32_t* slot : {&state_, &next_, &ahead_}) {
    if (*slot != 0) pools.slots()->release(std::exchange(*slot, 0));
  }
  if (cursor_ != nullptr) pools.prefix_index()->close(cursor_);
  shared_tokens_ = 0;
  listed_blocks_ = 0;
}

std::size_t RequestCache::bytes(const CachePools& pools) const {
  std::size_t bytes = 0;
  const std::array<std::int32_t, 4> slots{state_, next_, ahead_, recent_};
  for (auto slot = slots.begin(); slot != slots.end(); ++slot) {
    if (*slot == 0 || std::find(slots.begin(), slot, *slot) != slot) continue;
    const auto mine = std::count(slots.begin(), slots.end(), *slot);
    if (pools.slots()->users(*slot) == mine) bytes += pools.slots()->item_bytes();
  }
  for (std::size_t group = 0; group < pages_.size(); ++group) {
    for (const std::int32_t page : pages_[group]) {
      if (page != 0 && pools.pages(group).users(page) == 1) bytes += pools.pages(group).item_bytes();
    }
  }
  return bytes;
}

std::size_t RequestCache::page_bytes(const CachePools& pools) const {
  std::size_t bytes = 0;
  for (std::size_t group = 0; group < pages_.size(); ++group) {
    bytes += pages_[group].size() * pools.pages(group).item_bytes();
  }
  return bytes;
}

}  // namespace krait
