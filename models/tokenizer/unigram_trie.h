#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace krait {

/// A trie over bytes whose edges lie in one flat hash table: a step is one look-up, and building it is one insertion
/// for each edge.
class UnigramTrie {
 public:
  static constexpr std::int32_t kNoToken = -1;
  static constexpr std::uint32_t kRoot = 0;
  static constexpr std::uint32_t kNoNode = 0;  ///< the root is nobody's child

  UnigramTrie();
  /// A token that is there already gets the new id. An empty one is ignored.
  void add(std::string_view token, std::int32_t id);
  [[nodiscard]] std::uint32_t child(std::uint32_t node, char byte) const {
    const std::uint64_t key = key_of(node, byte);
    for (std::size_t slot = slot_of(key);; slot = (slot + 1) & (edges_.size() - 1)) {
      if (edges_[slot].key == key) return edges_[slot].child;
      if (edges_[slot].key == kFree) return kNoNode;
    }
  }
  /// The token that ends at a node, or kNoToken.
  [[nodiscard]] std::int32_t token(std::uint32_t node) const { return tokens_[node]; }

 private:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};
  struct Edge {
    std::uint64_t key = kFree;
    std::uint32_t child = kNoNode;
  };

  static std::uint64_t key_of(std::uint32_t node, char byte) {
    return (static_cast<std::uint64_t>(node) << 8) | static_cast<std::uint8_t>(byte);
  }
  [[nodiscard]] std::size_t slot_of(std::uint64_t key) const {
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15ULL) >> shift_);
  }
  void insert(Edge edge);
  void grow();

  std::vector<Edge> edges_;  ///< a power of two, at most half full
  int shift_;
  std::vector<std::int32_t> tokens_;  ///< by node
};

}  // namespace krait
