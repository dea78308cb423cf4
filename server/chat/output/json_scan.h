#pragma once

#include <string>
#include <vector>

namespace krait::server {

/// Finds the end of a JSON value that comes a byte at a time, by its brackets and strings; what stands between them is
/// not checked. Memory is one bit a level.
class JsonValueScan {
 public:
  enum class Step {
    kMore,    ///< of the value
    kDone,    ///< the value's last byte
    kBefore,  ///< not of the value, which ended before it (numbers and words do not show their end)
    kBad,     ///< not of any value: a closing bracket of the other kind, or too deep
  };
  /// Blanks before the value are the caller's.
  Step feed(char byte);

  static constexpr std::size_t kMaxDepth = 1000;

 private:
  std::vector<bool> open_;  ///< true: an object
  bool in_string_ = false;
  bool escaped_ = false;
  bool in_word_ = false;
};

/// The inside of a JSON string into the text that it stands for, a byte at a time. Halves of surrogate pairs become
/// U+FFFD.
class JsonUnescape {
 public:
  /// True when `byte` is the closing quote.
  bool feed(char byte, std::string& out);

 private:
  void end_unit(std::string& out);

  bool escaped_ = false;
  int hex_digits_ = -1;  ///< of \u so far; -1: not inside one
  unsigned unit_ = 0;
  unsigned high_ = 0;  ///< the first half of a pair
};

/// Appends a byte of a string's text as JSON writes it inside quotes.
void append_json_escaped(std::string& out, char byte);
/// The text as a JSON string, quotes included.
std::string json_quoted(const std::string& text);

}  // namespace krait::server
