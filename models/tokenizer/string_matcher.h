#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace krait {

/// Finds the leftmost, and there the longest, of a set of strings. A trie over bytes; a search costs the text's length
/// times, at worst, that of the longest string, and almost always one table look-up a byte.
class StringMatcher {
 public:
  struct Match {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t value = 0;
  };

  /// An empty string is ignored; a string that is there already keeps its first value.
  void add(std::string_view text, std::size_t value);
  [[nodiscard]] std::optional<Match> find(std::string_view text, std::size_t from) const;

 private:
  static constexpr std::size_t kNoValue = static_cast<std::size_t>(-1);
  struct Node {
    std::size_t value = kNoValue;
    std::vector<std::pair<char, std::uint32_t>> children;  ///< few: almost every node has one
  };

  [[nodiscard]] std::uint32_t child(std::uint32_t node, char byte) const;  ///< 0 for none: the root is nobody's child
  [[nodiscard]] std::optional<Match> match_at(std::string_view text, std::size_t begin) const;

  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::array<std::uint32_t, 256> roots_{};  ///< the root's children by byte
};

}  // namespace krait
