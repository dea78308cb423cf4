#define XXH_INLINE_ALL
#include "engine/cache/prefix_index.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "kernels/result.h"

namespace krait {
namespace {

/// Without recurrent state, how many blocks lie between those that `on_progress` tells of.
constexpr int kBlocksBetween = 16;

std::uint64_t hash_block(std::uint64_t before, std::span<const std::int32_t> tokens) {
  return XXH3_64bits_withSeed(tokens.data(), tokens.size_bytes(), before);
}

}  // namespace

std::size_t PrefixIndex::NodeHash::operator()(const std::unique_ptr<PrefixNode>& node) const { return node->hash; }
std::size_t PrefixIndex::NodeHash::operator()(const BlockKey& key) const {
  return hash_block(key.parent->hash, key.tokens);
}
bool PrefixIndex::NodeEqual::operator()(const std::unique_ptr<PrefixNode>& a,
                                        const std::unique_ptr<PrefixNode>& b) const {
  return a->parent == b->parent && a->tokens == b->tokens;
}
bool PrefixIndex::NodeEqual::operator()(const BlockKey& key, const std::unique_ptr<PrefixNode>& node) const {
  return node->parent == key.parent && std::ranges::equal(node->tokens, key.tokens);
}

PrefixIndex::PrefixIndex(CachePools& pools, std::size_t max_nodes) : pools_(pools), max_nodes_(max_nodes) {}

PrefixIndex::~PrefixIndex() {
  for (const auto& node : nodes_) {
    for (std::size_t group = 0; group < node->pages.size(); ++group) {
      if (node->pages[group] != 0) pools_.pages(group).unlist(node->pages[group]);
    }
    if (node->snapshot != 0) pools_.snapshots()->unlist(node->snapshot);
  }
}

PrefixNode* PrefixIndex::find(const PrefixNode* parent, std::span<const std::int32_t> block) const {
  const auto found = nodes_.find(BlockKey{parent, block});
  return found == nodes_.end() ? nullptr : found->get();
}

PrefixNode& PrefixIndex::root(const std::string& salt) {
  std::unique_ptr<PrefixNode>& root = roots_[salt];
  if (root == nullptr) {
    root = std::make_unique<PrefixNode>();
    root->hash = XXH3_64bits(salt.data(), salt.size());
    root->salt = salt;
  }
  return *root;
}

void PrefixIndex::forget_if_unused(const PrefixNode& node) {
  if (node.parent == nullptr && node.cursors == 0 && node.children == 0) roots_.erase(roots_.find(node.salt));
}

PrefixIndex::Path PrefixIndex::walk(const PrefixNode& root, std::span<const std::int32_t> tokens) const {
  const auto block_size = static_cast<std::size_t>(pools_.layout().block_size);
  Path path;
  const PrefixNode* at = &root;
  for (std::size_t begin = 0; begin + block_size <= tokens.size(); begin += block_size) {
    PrefixNode* next = find(at, tokens.subspan(begin, block_size));
    if (next == nullptr) break;
    path.push_back(next);
    at = next;
  }
  return path;
}

std::size_t PrefixIndex::full_depth(const Path& path) const {
  const auto& groups = pools_.layout().kv_groups;
  for (std::size_t depth = 0; depth < path.size(); ++depth) {
    for (std::size_t group = 0; group < groups.size(); ++group) {
      if (groups[group].sliding_window == 0 && path[depth]->pages[group] == 0) return depth;
    }
  }
  return path.size();
}

int first_needed_block(const CacheLayout& layout, std::size_t group, int start) {
  const int window = layout.kv_groups[group].sliding_window;
  if (window == 0) return 0;
  // One token more than a window of that many tokens with the last one among them: some families count without it.
  return std::max(0, start - window) / layout.block_size;
}

std::size_t PrefixIndex::first_needed_block(std::size_t group, int start) const {
  return static_cast<std::size_t>(krait::first_needed_block(pools_.layout(), group, start));
}

std::size_t PrefixIndex::page_depth(const Path& path, std::size_t depth, int start) const {
  const auto& groups = pools_.layout().kv_groups;
  for (std::size_t group = 0; group < groups.size(); ++group) {
    if (groups[group].sliding_window == 0) continue;
    std::size_t block = first_needed_block(group, start);
    while (block < depth && path[block]->pages[group] != 0) ++block;
    depth = std::min(depth, block);
  }
  return depth;
}

PrefixIndex::Cursor PrefixIndex::open(const std::string& salt) {
  PrefixNode& root_node = root(salt);
  ++root_node.cursors;
  return &root_node;
}

PrefixMatch PrefixIndex::match(const std::string& salt, std::span<const std::int32_t> tokens) {
  if (tokens.empty()) KRAIT_BUG("the prefix of an empty prompt was asked for");
  ++clock_;
  const int block_size = pools_.layout().block_size;
  const int last = static_cast<int>(tokens.size()) - 1;
  const bool has_state = pools_.slots() != nullptr;
  const bool new_salt = !salt.empty() && !roots_.contains(salt);
  const Cursor start_cursor = open(salt);
  const Path path = walk(*start_cursor, tokens);
  const std::size_t full = full_depth(path);

  PrefixMatch match;
  match.too_short = last < block_size;
  match.new_salt = new_salt;
  match.path_tokens = static_cast<int>(path.size()) * block_size;
  match.pages.resize(pools_.layout().kv_groups.size());
  match.cursor = start_cursor;
  // From the longest candidate down; with recurrent state only places with a snapshot are candidates, and the start of
  // the sequence, from where all is replayed.
  for (std::size_t depth = full + 1; depth-- > 0;) {
    const int end = static_cast<int>(depth) * block_size;
    if (has_state && depth > 0 && (path[depth - 1]->snapshot == 0 || end > last)) continue;
    const int start = std::min(end, last);
    const std::size_t reach = page_depth(path, has_state ? full : depth, start);
    if (reach < depth) continue;
    match.computed_tokens = start;
    take(path, reach, start, match);
    break;
  }
  return match;
}

void PrefixIndex::take(const Path& path, std::size_t depth, int start, PrefixMatch& match) {
  const int block_size = pools_.layout().block_size;
  match.page_tokens = static_cast<int>(depth) * block_size;
  for (std::size_t group = 0; group < match.pages.size(); ++group) {
    const std::size_t first = first_needed_block(group, start);
    match.pages[group].assign(depth, 0);
    for (std::size_t block = first; block < depth; ++block) {
      match.pages[group][block] = path[block]->pages[group];
      pools_.pages(group).retain(path[block]->pages[group]);
      path[block]->window_used = clock_;
    }
  }
  if (pools_.slots() != nullptr && match.computed_tokens > 0) {
    PrefixNode& node = *path[static_cast<std::size_t>(match.computed_tokens / block_size) - 1];
    match.snapshot = node.snapshot;
    pools_.snapshots()->retain(match.snapshot);
    touch_snapshot(node);
  }
  for (std::size_t block = 0; block < depth; ++block) {
    path[block]->used = clock_;
    reorder(*path[block]);
  }
  if (depth > 0) move_cursor(match.cursor, path[depth - 1]);
}

PrefixNode* PrefixIndex::create(PrefixNode& parent, std::span<const std::int32_t> block) {
  if (nodes_.size() >= max_nodes_) {
    PrefixNode* oldest = oldest_leaf();
    if (oldest == nullptr) return nullptr;
    drop_leaf(*oldest);
  }
  auto node = std::make_unique<PrefixNode>();
  node->parent = &parent;
  node->depth = parent.depth + 1;
  node->hash = hash_block(parent.hash, block);
  node->tokens.assign(block.begin(), block.end());
  node->pages.assign(pools_.layout().kv_groups.size(), 0);
  PrefixNode* raw = node.get();
  if (!nodes_.insert(std::move(node)).second) KRAIT_BUG("a block was listed twice");
  ++parent.children;
  reorder(parent);
  stats_.nodes = static_cast<std::int64_t>(nodes_.size());
  return raw;
}

void PrefixIndex::share_pages(PrefixNode& node, std::span<std::int32_t> pages) {
  for (std::size_t group = 0; group < pages.size(); ++group) {
    if (pages[group] == 0 || pages[group] == node.pages[group]) continue;
    ItemPool& pool = pools_.pages(group);
    if (node.pages[group] == 0) {
      node.pages[group] = pages[group];
      pool.list(pages[group]);
    } else {
      pool.retain(node.pages[group]);
      pool.release(pages[group]);
      pages[group] = node.pages[group];
    }
  }
}

void PrefixIndex::extend(Cursor& cursor, std::span<const std::int32_t> block, std::span<std::int32_t> pages) {
  if (cursor == nullptr) return;
  if (block.size() != static_cast<std::size_t>(pools_.layout().block_size)) KRAIT_BUG("a partial block was listed");
  ++clock_;
  PrefixNode* node = find(cursor, block);
  if (node == nullptr) node = create(*cursor, block);
  if (node == nullptr) return close(cursor);
  node->used = clock_;
  node->window_used = clock_;
  share_pages(*node, pages);
  move_cursor(cursor, node);
  if (on_progress_ && pools_.slots() == nullptr && node->depth % kBlocksBetween == 0) on_progress_(*node);
}

PrefixNode* PrefixIndex::place_for_snapshot(Cursor cursor, int tokens) const {
  if (cursor == nullptr || tokens <= 0) return nullptr;
  const int block_size = pools_.layout().block_size;
  if (tokens % block_size != 0 || tokens > cursor->depth * block_size) {
    KRAIT_BUG("a snapshot after " + std::to_string(tokens) + " tokens, where the index has no place for it");
  }
  PrefixNode* node = cursor;
  while (node->depth * block_size > tokens) node = node->parent;
  return node->snapshot == 0 ? node : nullptr;
}

bool PrefixIndex::add_state(Cursor cursor, int tokens, std::int32_t slot) {
  if (slot == 0 || place_for_snapshot(cursor, tokens) == nullptr) return false;
  const std::optional<std::int32_t> snapshot = pools_.make_snapshot(slot);
  if (!snapshot) return false;
  const bool added = add_snapshot(cursor, tokens, *snapshot);
  pools_.snapshots()->release(*snapshot);
  return added;
}

bool PrefixIndex::add_snapshot(Cursor cursor, int tokens, std::int32_t snapshot) {
  PrefixNode* node = place_for_snapshot(cursor, tokens);
  if (node == nullptr) return false;
  ++clock_;
  pools_.snapshots()->list(snapshot);
  node->snapshot = snapshot;
  ++stats_.snapshots;
  touch_snapshot(*node);
  reorder(*node);
  if (on_progress_) on_progress_(*node);
  return true;
}

void PrefixIndex::move_cursor(Cursor& cursor, PrefixNode* to) {
  PrefixNode* from = std::exchange(cursor, to);
  if (to != nullptr) {
    ++to->cursors;
    reorder(*to);
  }
  --from->cursors;
  reorder(*from);
  forget_if_unused(*from);
}

void PrefixIndex::let_go(PrefixMatch& match) {
  for (std::size_t group = 0; group < match.pages.size(); ++group) {
    for (const std::int32_t page : match.pages[group]) {
      if (page != 0) pools_.pages(group).release(page);
    }
  }
  if (match.snapshot != 0) pools_.snapshots()->release(match.snapshot);
  close(match.cursor);
  match = {};
}

void PrefixIndex::close(Cursor& cursor) {
  if (cursor == nullptr) return;
  if (on_progress_ && pools_.slots() == nullptr && cursor->parent != nullptr) on_progress_(*cursor);
  move_cursor(cursor, nullptr);
}

}  // namespace krait
