#include "server/service/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace krait::server {
namespace {

/// failure[i]: length of the longest proper border of the first i + 1 bytes.
std::vector<std::size_t> failure_function(const std::string& text) {
  std::vector<std::size_t> failure(text.size(), 0);
  for (std::size_t i = 1, border = 0; i < text.size(); ++i) {
    while (border > 0 && text[i] != text[border]) border = failure[border - 1];
    if (text[i] == text[border]) ++border;
    failure[i] = border;
  }
  return failure;
}

}  // namespace

void StopMatcher::Pattern::advance(char byte) {
  while (state > 0 && text[state] != byte) state = failure[state - 1];
  if (text[state] == byte) ++state;
}

StopMatcher::StopMatcher(std::vector<std::string> stop_strings) {
  for (std::string& text : stop_strings) {
    if (text.empty()) continue;
    std::vector<std::size_t> failure = failure_function(text);
    patterns_.push_back(Pattern{.text = std::move(text), .failure = std::move(failure)});
  }
}

std::string StopMatcher::push(std::string_view text) {
  if (matched()) return {};
  if (patterns_.empty()) return std::string(text);
  for (char byte : text) {
    held_.push_back(byte);
    std::size_t longest = 0;
    for (std::size_t i = 0; i < patterns_.size(); ++i) {
      Pattern& pattern = patterns_[i];
      pattern.advance(byte);
      if (pattern.state == pattern.text.size() && pattern.text.size() > longest) {
        longest = pattern.text.size();
        matched_ = static_cast<int>(i);
      }
    }
    if (matched()) {
      held_.resize(held_.size() - longest);
      return std::exchange(held_, {});
    }
  }
  std::size_t keep = 0;
  for (const Pattern& pattern : patterns_) keep = std::max(keep, pattern.state);
  std::string safe = held_.substr(0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return safe;
}

std::string StopMatcher::flush() { return std::exchange(held_, {}); }

}  // namespace krait::server
