// What the prefix index lets go of, and in which order.
//
// Pages and snapshots are evicted in orders of their own, because a page is of use only together with a snapshot behind
// it: by bytes alone one kind would always push the other out. Within the snapshots it counts how many tokens one saves
// (GreedyDual-Size: Cao and Irani, "Cost-Aware WWW Proxy Caching Algorithms", 1997; all snapshots have one size),
// within the pages, which all save the same, the time since the last use. Between the orders the older head goes.

#include <algorithm>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/cache/prefix_index.h"
#include "kernels/result.h"

namespace krait {
namespace {

void place(PrefixOrder& order, PrefixNode& node, std::uint64_t& key, std::uint64_t wanted) {
  if (key == wanted) return;
  if (key != 0) order.erase({key, &node});
  key = wanted;
  if (key != 0) order.insert({key, &node});
}

}  // namespace

bool PrefixIndex::has_window_page(const PrefixNode& node) const {
  const auto& groups = pools_.layout().kv_groups;
  for (std::size_t group = 0; group < groups.size(); ++group) {
    if (groups[group].sliding_window > 0 && node.pages[group] != 0) return true;
  }
  return false;
}

void PrefixIndex::reorder(PrefixNode& node) {
  if (node.parent == nullptr) return;
  const bool leaf = node.children == 0 && node.cursors == 0 && node.snapshot == 0;
  place(leaves_, node, node.leaf_key, leaf ? node.used : 0);
  place(windows_, node, node.window_key, has_window_page(node) ? node.window_used : 0);
  place(snapshots_, node, node.snapshot_key, node.snapshot != 0 ? node.snapshot_worth : 0);
}

int PrefixIndex::tokens_saved(const PrefixNode& node) const {
  int blocks = 1;
  for (const PrefixNode* at = node.parent; at->parent != nullptr && at->snapshot == 0; at = at->parent) ++blocks;
  return blocks * pools_.layout().block_size;
}

void PrefixIndex::touch_snapshot(PrefixNode& node) {
  node.snapshot_used = clock_;
  node.snapshot_worth = inflation_ + static_cast<std::uint64_t>(tokens_saved(node));
}

PrefixNode* PrefixIndex::cheapest_snapshot() const {
  for (const auto& [worth, node] : snapshots_) {
    if (pools_.snapshots()->is_idle(node->snapshot)) return node;
  }
  return nullptr;
}

PrefixNode* PrefixIndex::oldest_leaf() const { return leaves_.empty() ? nullptr : leaves_.begin()->second; }

PrefixNode* PrefixIndex::oldest_window() const {
  const auto& groups = pools_.layout().kv_groups;
  for (const auto& [used, node] : windows_) {
    for (std::size_t group = 0; group < groups.size(); ++group) {
      const std::int32_t page = node->pages[group];
      if (groups[group].sliding_window > 0 && page != 0 && pools_.pages(group).is_idle(page)) return node;
    }
  }
  return nullptr;
}

bool PrefixIndex::evict_one() {
  constexpr std::uint64_t kNone = ~std::uint64_t{0};
  PrefixNode* snapshot = cheapest_snapshot();
  PrefixNode* leaf = oldest_leaf();
  PrefixNode* window = oldest_window();
  const std::uint64_t snapshot_age = snapshot != nullptr ? snapshot->snapshot_used : kNone;
  const std::uint64_t leaf_age = leaf != nullptr ? leaf->used : kNone;
  const std::uint64_t window_age = window != nullptr ? window->window_used : kNone;
  const std::uint64_t oldest = std::min({snapshot_age, leaf_age, window_age});
  if (oldest == kNone) return false;
  if (oldest == snapshot_age) {
    drop_snapshot(*snapshot);
  } else if (oldest == leaf_age) {
    drop_leaf(*leaf);
  } else {
    drop_windows(*window);
  }
  return true;
}

bool PrefixIndex::make_room(std::size_t bytes) {
  const MemoryBudget& budget = pools_.budget();
  if (bytes > budget.total()) return false;
  while (budget.total() - budget.used() < bytes) {
    if (!evict_one()) return false;
  }
  return true;
}

void PrefixIndex::forget_snapshot(std::int32_t slot) {
  if (pools_.packs_snapshots()) return;
  const auto found =
      std::ranges::find_if(snapshots_, [&](const auto& entry) { return entry.second->snapshot == slot; });
  if (found != snapshots_.end()) drop_snapshot(*found->second);
}

void PrefixIndex::clear() {
  while (evict_one()) {
  }
}

void PrefixIndex::drop_snapshot(PrefixNode& node) {
  inflation_ = std::max(inflation_, node.snapshot_worth);
  pools_.snapshots()->unlist(std::exchange(node.snapshot, 0));
  --stats_.snapshots;
  ++stats_.evicted_snapshots;
  reorder(node);
}

void PrefixIndex::drop_windows(PrefixNode& node) {
  const auto& groups = pools_.layout().kv_groups;
  for (std::size_t group = 0; group < groups.size(); ++group) {
    if (groups[group].sliding_window == 0 || node.pages[group] == 0) continue;
    pools_.pages(group).unlist(std::exchange(node.pages[group], 0));
  }
  ++stats_.evicted_windows;
  reorder(node);
}

void PrefixIndex::drop_leaf(PrefixNode& node) {
  for (std::size_t group = 0; group < node.pages.size(); ++group) {
    if (node.pages[group] != 0) pools_.pages(group).unlist(node.pages[group]);
  }
  place(leaves_, node, node.leaf_key, 0);
  place(windows_, node, node.window_key, 0);
  PrefixNode& parent = *node.parent;
  const auto found = nodes_.find(BlockKey{&parent, node.tokens});
  if (found == nodes_.end()) KRAIT_BUG("a listed block is not in the index");
  nodes_.erase(found);
  stats_.nodes = static_cast<std::int64_t>(nodes_.size());
  ++stats_.evicted_blocks;
  --parent.children;
  reorder(parent);
  forget_if_unused(parent);
}

}  // namespace krait
