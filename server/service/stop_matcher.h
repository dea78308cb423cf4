#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace krait::server {

/// Finds stop strings in a text that comes in pieces. Never lets out a byte that may still turn out to belong to a stop
/// string; holds back only the longest suffix that may begin one. What it finds does not depend on how the text is cut:
/// the string that ends first wins, and of those that end together the longest.
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stop_strings);

  /// The text that is now safe to show. After a match it is what lies before the stop string, and further calls return
  /// nothing.
  std::string push(std::string_view text);
  /// What was held back, at the end of a text without a match.
  std::string flush();

  [[nodiscard]] bool matched() const { return matched_ >= 0; }
  /// The string that was found; only after `matched()`.
  [[nodiscard]] const std::string& match() const { return patterns_[static_cast<std::size_t>(matched_)].text; }

 private:
  /// Knuth, Morris and Pratt's automaton: `state` is the length of the longest suffix of the text that begins `text`.
  struct Pattern {
    std::string text;
    std::vector<std::size_t> failure;
    std::size_t state = 0;
    void advance(char byte);
  };

  std::vector<Pattern> patterns_;
  std::string held_;
  int matched_ = -1;
};

}  // namespace krait::server
