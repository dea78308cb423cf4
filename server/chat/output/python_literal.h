#pragma once

#include <string>
#include <vector>

#include "server/chat/output/marker_gate.h"

namespace krait::server {

/// A Python literal that comes a byte at a time, into JSON as it comes: strings, numbers, True, False and None, lists,
/// tuples and dicts. Evaluates nothing. A quote inside a string that is not followed by what follows a string is taken
/// as text, for models write such; words that are no literal become strings.
class PythonLiteral {
 public:
  enum class Step {
    kMore,    ///< of the literal
    kDone,    ///< its last byte
    kBefore,  ///< not of it: it ended before
    kBad,     ///< no literal
  };
  /// `string_quote`: strings stand between two of these and have no escapes; empty: as in Python.
  explicit PythonLiteral(std::string string_quote = {});
  /// Appends what is certain to `json`.
  Step feed(char byte, std::string& json);

  static constexpr std::size_t kMaxDepth = 200;

 private:
  enum class State { kValue, kWord, kQuoteOpening, kString, kMarkedString, kMaybeClosed, kAfter };
  struct Container {
    bool dict = false;
    char close = ']';
    bool key_next = false;
    bool comma = false;
  };

  Step feed_value(char byte, std::string& json);
  Step feed_string(char byte, std::string& json);
  Step feed_maybe_closed(char byte, std::string& json);
  Step feed_after(char byte, std::string& json);
  Step open(char byte, std::string& json);
  Step close(std::string& json);
  void feed_escape(char byte, std::string& json);
  void end_escape(std::string& json);
  void before_value(std::string& json);
  void end_word(std::string& json);
  Step value_ended();

  std::string string_quote_;
  MarkerGate marked_end_;
  State state_ = State::kValue;
  std::vector<Container> open_;
  std::string word_;
  char quote_ = '"';
  bool triple_ = false;
  bool empty_string_ = true;
  int quotes_ = 0;  ///< of a closing triple quote so far
  std::string blanks_;
  bool escaped_ = false;
  int hex_left_ = 0;
  unsigned code_ = 0;
};

}  // namespace krait::server
