#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace krait {

class CachePools;
struct MovedCache;
struct PrefixMatch;
struct PrefixNode;

/// The pages and slots that one request holds, and its place in the prefix index. Whoever lets go of it must call
/// `release` first: it keeps no pointer to the pools.
class RequestCache {
 public:
  /// Begins with the longest cached prefix of the history, if there is an index. Returns what was found; its pages and
  /// snapshot are held from here on.
  PrefixMatch start(CachePools& pools, const std::string& salt, std::span<const std::int32_t> history);

  /// Makes sure that the step at hand has a slot to write the state to that nobody else reads. False when there is no
  /// room.
  [[nodiscard]] bool secure_state(CachePools& pools);
  /// The same for the step after the one in flight, which reads what that one writes; with `keep`, that state is to
  /// stay as it is.
  [[nodiscard]] bool secure_state_ahead(CachePools& pools, bool keep);
  /// When nobody else can be asked for memory: takes its own state back from the index, to write it in place. True when
  /// that frees anything.
  [[nodiscard]] bool write_in_place(CachePools& pools);

  /// Adds pages, in every group, towards the first `tokens` tokens of the sequence, as many as memory allows. Returns
  /// how many tokens the pages now cover, at most `tokens`. What was added stays held when it is not enough.
  [[nodiscard]] int grow(CachePools& pools, int tokens);

  /// A step has computed the history up to `computed` tokens: the state written is the state now, full blocks are
  /// listed, and pages that no window reaches any more are let go of.
  void advance(CachePools& pools, std::span<const std::int32_t> history, int computed);

  /// Lists the state, which stands at `computed` tokens: a block boundary.
  void snapshot_state(CachePools& pools, int computed);
  /// Lists a state that a step has left in `slot` inside its piece; the caller keeps its hold.
  void snapshot_slot(CachePools& pools, int position, std::int32_t slot);
  /// Keeps the state, which stands at a block boundary, until the next one, so that the request's end finds a state to
  /// list however it ends. Costs no copy, but a second slot.
  void keep_recent(CachePools& pools, int computed);
  void drop_recent(CachePools& pools);
  /// What it computes is listed for others.
  [[nodiscard]] bool lists_prefixes() const { return cursor_ != nullptr; }
  [[nodiscard]] bool has_recent() const { return recent_ != 0; }
  [[nodiscard]] std::int32_t recent() const { return recent_; }  ///< the slot of the state kept; 0: none

  /// A copy of all that the first `computed` tokens need, before it is let go of; nullopt where the processor cannot
  /// read the pools, or there is nothing.
  [[nodiscard]] std::optional<MovedCache> move_out(const CachePools& pools, int computed) const;
  /// Puts it back, behind what `start` found. False when there is no room; the caller releases then.
  [[nodiscard]] bool move_in(CachePools& pools, const MovedCache& moved);

  /// Lets go of everything; the recent state is listed before.
  void release(CachePools& pools);
  /// What `release` would give back, to the budget or for eviction.
  [[nodiscard]] std::size_t bytes(const CachePools& pools) const;
  /// What is held of the first `tokens` tokens' pages.
  [[nodiscard]] std::size_t page_bytes(const CachePools& pools) const;

  [[nodiscard]] std::int32_t state_read() const { return state_; }  ///< 0: none
  [[nodiscard]] std::int32_t state_write() const { return next_ != 0 ? next_ : state_; }
  /// Where the step after the one in flight writes the state.
  [[nodiscard]] std::int32_t state_write_ahead() const { return ahead_ != 0 ? ahead_ : state_write(); }
  /// Tokens from the first whose K and V lie in pages of the index and must not be written.
  [[nodiscard]] int shared_tokens() const { return shared_tokens_; }
  [[nodiscard]] const std::vector<std::vector<std::int32_t>>& pages() const { return pages_; }

 private:
  void list_block(CachePools& pools, std::span<const std::int32_t> block);
  void drop_packed(CachePools& pools);
  void drop_passed_windows(CachePools& pools, int computed);

  std::int32_t packed_ = 0;  ///< the snapshot that becomes `state_` once there is a slot for it; 0: none
  std::int32_t state_ = 0;   ///< where the state of the computed tokens is; others may read it
  std::int32_t next_ = 0;    ///< where the step at hand writes it; 0: in place
  std::int32_t ahead_ = 0;   ///< where the step after it writes it; 0: in place
  std::int32_t recent_ = 0;  ///< the state at the last block boundary; 0: none
  int recent_tokens_ = 0;
  int shared_tokens_ = 0;
  int listed_blocks_ = 0;
  PrefixNode* cursor_ = nullptr;
  std::vector<std::vector<std::int32_t>> pages_;  ///< block table, one a KV group; 0: out of the window
};

}  // namespace krait
