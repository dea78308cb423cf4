#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace krait::server {

/// Finds markers in text that comes a character at a time, and holds back no more than may become one. Of markers that
/// begin at one place the first to be complete is found, so none may be a prefix of another.
class MarkerGate {
 public:
  explicit MarkerGate(std::vector<std::string> markers);

  /// The marker that this byte completes, or -1. Bytes that surely are of no marker are appended to `free`.
  int feed(char byte, std::string& free);
  /// The text ends: what was held back is free.
  void finish(std::string& free);
  /// Nothing is held back.
  [[nodiscard]] bool idle() const { return held_.empty(); }

 private:
  [[nodiscard]] bool may_become_a_marker() const;

  std::vector<std::string> markers_;
  std::string held_;
};

}  // namespace krait::server
