#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace krait {

struct PrefixNode;
/// Nodes by a key that grows with their worth; the second number makes keys unique.
using PrefixOrder = std::set<std::pair<std::uint64_t, PrefixNode*>>;

/// One block of tokens in the prefix index; a root has none.
struct PrefixNode {
  PrefixNode* parent = nullptr;
  int depth = 0;           ///< blocks up to and with this one
  std::uint64_t hash = 0;  ///< of the salt and all tokens up to and with this block
  std::string salt;        ///< of a root
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> pages;  ///< one a KV group; 0: let go of
  std::int32_t snapshot = 0;        ///< slot of the state after this block; 0: none
  int children = 0;
  int cursors = 0;                   ///< requests that stand here
  std::uint64_t used = 0;            ///< tick of the last use
  std::uint64_t window_used = 0;     ///< tick of the last use of its window pages
  std::uint64_t snapshot_used = 0;   ///< tick of the last use of its snapshot
  std::uint64_t snapshot_worth = 0;  ///< the tokens that it saves, and the index's inflation when it was used last

  /// Under which keys the node stands in the orders of eviction; 0: not at all.
  std::uint64_t leaf_key = 0;
  std::uint64_t window_key = 0;
  std::uint64_t snapshot_key = 0;
};

}  // namespace krait
