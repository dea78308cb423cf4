// A request's pages and state, moved out of the pools and back.

#include <optional>
#include <string>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/scheduler/moved_cache.h"
#include "engine/scheduler/request_cache.h"

namespace krait {
namespace {

/// A new item with these bytes; nullopt when there is no room.
std::optional<std::int32_t> write_item(ItemPool& pool, const std::string& bytes) {
  const std::optional<std::int32_t> item = pool.allocate();
  if (item) pool.write(*item, bytes);
  return item;
}

}  // namespace

std::optional<MovedCache> RequestCache::move_out(const CachePools& pools, int computed) const {
  if (computed == 0) return std::nullopt;
  MovedCache moved{.computed = computed, .state = {}, .pages = {}};
  if (state_ != 0) moved.state = pools.slots()->read(state_);
  const int block_size = pools.layout().block_size;
  const auto blocks = static_cast<std::size_t>((computed + block_size - 1) / block_size);
  moved.pages.resize(pages_.size());
  for (std::size_t group = 0; group < pages_.size(); ++group) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const std::int32_t page = pages_[group].at(block);
      moved.pages[group].push_back(page == 0 ? std::string() : pools.pages(group).read(page));
    }
  }
  return moved;
}

bool RequestCache::move_in(CachePools& pools, const MovedCache& moved) {
  if (!moved.state.empty()) {
    const std::optional<std::int32_t> slot = write_item(*pools.slots(), moved.state);
    if (!slot) return false;
    drop_packed(pools);
    if (state_ != 0) pools.slots()->release(state_);
    state_ = *slot;
  }
  pages_.resize(moved.pages.size());
  for (std::size_t group = 0; group < pages_.size(); ++group) {
    // What others have listed meanwhile is shared; the rest comes back.
    for (std::size_t block = pages_[group].size(); block < moved.pages[group].size(); ++block) {
      std::optional<std::int32_t> page = 0;
      if (!moved.pages[group][block].empty()) page = write_item(pools.pages(group), moved.pages[group][block]);
      if (!page) return false;
      pages_[group].push_back(*page);
    }
  }
  return true;
}

}  // namespace krait
