// A plain trie instead of an Aho-Corasick automaton: added tokens begin with few different bytes, so almost every
// position is rejected by the first table, and restarting a walk is rare.
#include "models/tokenizer/string_matcher.h"

namespace krait {

std::uint32_t StringMatcher::child(std::uint32_t node, char byte) const {
  if (node == 0) return roots_[static_cast<std::uint8_t>(byte)];
  for (const auto& [label, next] : nodes_[node].children) {
    if (label == byte) return next;
  }
  return 0;
}

void StringMatcher::add(std::string_view text, std::size_t value) {
  if (text.empty()) return;
  std::uint32_t node = 0;
  for (const char byte : text) {
    std::uint32_t next = child(node, byte);
    if (next == 0) {
      next = static_cast<std::uint32_t>(nodes_.size());
      nodes_.emplace_back();
      if (node == 0) roots_[static_cast<std::uint8_t>(byte)] = next;
      nodes_[node].children.emplace_back(byte, next);
    }
    node = next;
  }
  if (nodes_[node].value == kNoValue) nodes_[node].value = value;
}

std::optional<StringMatcher::Match> StringMatcher::match_at(std::string_view text, std::size_t begin) const {
  std::optional<Match> longest;
  std::uint32_t node = 0;
  for (std::size_t pos = begin; pos < text.size(); ++pos) {
    node = child(node, text[pos]);
    if (node == 0) break;
    if (nodes_[node].value != kNoValue) longest = {.begin = begin, .end = pos + 1, .value = nodes_[node].value};
  }
  return longest;
}

std::optional<StringMatcher::Match> StringMatcher::find(std::string_view text, std::size_t from) const {
  if (nodes_.size() == 1) return std::nullopt;
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    if (roots_[static_cast<std::uint8_t>(text[begin])] == 0) continue;
    if (auto match = match_at(text, begin)) return match;
  }
  return std::nullopt;
}

}  // namespace krait
