#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/cache/prefix_node.h"

namespace krait {

class CachePools;
struct CacheLayout;

/// What a prompt finds in the index. The caller holds every page of `pages` and the snapshot, and must release them.
struct PrefixMatch {
  /// Tokens whose K and V lie in `pages`: a multiple of the block size. They must not be written again.
  int page_tokens = 0;
  /// Tokens that need not be computed again: where the snapshot stands, or without recurrent state where the pages end
  /// (one token is always left to compute).
  int computed_tokens = 0;
  /// Tokens of the longest cached path, whether or not it could be used: where this prompt leaves what others have
  /// computed. A snapshot there serves the next one that comes this way.
  int path_tokens = 0;
  std::vector<std::vector<std::int32_t>> pages;  ///< block tables, one a KV group; 0 where a window needs no page
  std::int32_t snapshot = 0;                     ///< 0: none, the state starts from zero
  PrefixNode* cursor = nullptr;                  ///< stands where the pages end; to be closed by the caller
  bool too_short = false;                        ///< no block of it could ever be reused
  bool new_salt = false;                         ///< it has a salt, and nothing was listed under it
};

/// First block whose page a group needs when the token at `start` is computed: with a sliding window, those before are
/// out of it.
int first_needed_block(const CacheLayout& layout, std::size_t group, int start);

struct PrefixIndexStats {
  std::int64_t nodes = 0;
  std::int64_t snapshots = 0;
  std::int64_t evicted_blocks = 0;
  std::int64_t evicted_windows = 0;
  std::int64_t evicted_snapshots = 0;
};

/// Which prefixes are in the caches: a tree whose nodes are blocks of `block_size` tokens, with the pages of the block
/// in every KV group and, at some nodes, a snapshot of the recurrent state after the block (design, section 4). Holds
/// what it lists through the pools' counts, so that an item lives as long as the index or a request uses it. Nothing in
/// here is ever written by a request: it was computed before it was listed.
///
/// Used by the engine's thread only.
class PrefixIndex {
 public:
  explicit PrefixIndex(CachePools& pools, std::size_t max_nodes = std::size_t{1} << 20U);
  ~PrefixIndex();
  PrefixIndex(const PrefixIndex&) = delete;
  PrefixIndex& operator=(const PrefixIndex&) = delete;

  /// A place in the tree that a request holds: it and its ancestors stay until `close`. Null is off the tree, where
  /// nothing is listed.
  using Cursor = PrefixNode*;

  /// The longest usable prefix of `tokens` among prefixes with the same salt. Without any, the cursor stands at the
  /// salt's root.
  [[nodiscard]] PrefixMatch match(const std::string& salt, std::span<const std::int32_t> tokens);

  /// A cursor at the salt's root.
  [[nodiscard]] Cursor open(const std::string& salt);
  /// The block after `parent`, or null.
  [[nodiscard]] PrefixNode* find(const PrefixNode* parent, std::span<const std::int32_t> block) const;

  /// Moves the cursor over the next block, all of whose tokens have been computed. `pages` are the request's own, one a
  /// KV group; they are listed if the block was not, or else exchanged for those that are, so that equal blocks lie in
  /// memory once. A page of 0 is none. The cursor goes off the tree when the index is full of blocks in use.
  void extend(Cursor& cursor, std::span<const std::int32_t> block, std::span<std::int32_t> pages);
  /// Ends the caller's hold on all that a match found.
  void let_go(PrefixMatch& match);
  /// Lists the state after the first `tokens` tokens of the cursor's path, a multiple of the block size, that lies in
  /// `slot`; the index takes a hold of its own. False when that place has a snapshot already, is off the tree, or there
  /// is no room to pack it.
  bool add_state(Cursor cursor, int tokens, std::int32_t slot);
  /// The same of a snapshot as `CachePools::snapshots` has them.
  bool add_snapshot(Cursor cursor, int tokens, std::int32_t snapshot);
  void close(Cursor& cursor);
  /// Lets go of the snapshot that is this slot, if there is one: its other holder needs the slot to go on.
  void forget_snapshot(std::int32_t slot);

  /// Is told of blocks that are worth keeping elsewhere: those with a new snapshot; without recurrent state every few
  /// blocks, and those where a cursor is closed. Must not change the index.
  void on_progress(std::function<void(const PrefixNode&)> listener) { on_progress_ = std::move(listener); }

  /// Lets go of what saves least until the budget has room for `bytes` more; false when nothing is left to let go of.
  bool make_room(std::size_t bytes);
  void clear();
  [[nodiscard]] const PrefixIndexStats& stats() const { return stats_; }

 private:
  struct BlockKey {
    const PrefixNode* parent;
    std::span<const std::int32_t> tokens;
  };
  struct NodeHash {
    using is_transparent = void;
    std::size_t operator()(const std::unique_ptr<PrefixNode>& node) const;
    std::size_t operator()(const BlockKey& key) const;
  };
  struct NodeEqual {
    using is_transparent = void;
    bool operator()(const std::unique_ptr<PrefixNode>& a, const std::unique_ptr<PrefixNode>& b) const;
    bool operator()(const BlockKey& key, const std::unique_ptr<PrefixNode>& node) const;
    bool operator()(const std::unique_ptr<PrefixNode>& node, const BlockKey& key) const { return (*this)(key, node); }
  };
  using Path = std::vector<PrefixNode*>;

  [[nodiscard]] PrefixNode& root(const std::string& salt);
  /// Roots exist while anything hangs on them.
  void forget_if_unused(const PrefixNode& node);
  [[nodiscard]] Path walk(const PrefixNode& root, std::span<const std::int32_t> tokens) const;
  PrefixNode* create(PrefixNode& parent, std::span<const std::int32_t> block);
  void share_pages(PrefixNode& node, std::span<std::int32_t> pages);
  void move_cursor(Cursor& cursor, PrefixNode* to);
  /// Where a snapshot after that many tokens of the cursor's path belongs; null where there is one already.
  [[nodiscard]] PrefixNode* place_for_snapshot(Cursor cursor, int tokens) const;
  /// Blocks of the path, from the first, that have pages in all groups that keep every token.
  [[nodiscard]] std::size_t full_depth(const Path& path) const;
  /// How far, at most to `depth` blocks, the pages reach that a sequence needs that goes on computing at `start`.
  [[nodiscard]] std::size_t page_depth(const Path& path, std::size_t depth, int start) const;
  /// First block whose page a window group needs when the token at `start` is computed.
  [[nodiscard]] std::size_t first_needed_block(std::size_t group, int start) const;
  void take(const Path& path, std::size_t depth, int start, PrefixMatch& match);

  /// Notes a use of the node's snapshot.
  void touch_snapshot(PrefixNode& node);
  /// Tokens that would have to be replayed without the node's snapshot.
  [[nodiscard]] int tokens_saved(const PrefixNode& node) const;
  [[nodiscard]] bool has_window_page(const PrefixNode& node) const;
  /// Keeps the orders of eviction true after anything about the node has changed.
  void reorder(PrefixNode& node);
  [[nodiscard]] PrefixNode* cheapest_snapshot() const;
  [[nodiscard]] PrefixNode* oldest_leaf() const;
  [[nodiscard]] PrefixNode* oldest_window() const;
  bool evict_one();
  void drop_snapshot(PrefixNode& node);
  void drop_windows(PrefixNode& node);
  void drop_leaf(PrefixNode& node);

  CachePools& pools_;
  std::size_t max_nodes_;
  std::uint64_t clock_ = 0;                                   ///< ticks once an operation
  std::uint64_t inflation_ = 0;                               ///< worth of the best snapshot that was let go of
  std::map<std::string, std::unique_ptr<PrefixNode>> roots_;  ///< by salt
  std::unordered_set<std::unique_ptr<PrefixNode>, NodeHash, NodeEqual> nodes_;
  PrefixOrder leaves_;     ///< blocks that nothing follows, the longest unused first
  PrefixOrder windows_;    ///< blocks with pages in window groups, the longest unused first
  PrefixOrder snapshots_;  ///< the one that saves least first
  PrefixIndexStats stats_;
  std::function<void(const PrefixNode&)> on_progress_;
};

}  // namespace krait
