#include "server/chat/output/python_literal.h"

#include <cctype>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "server/chat/output/call_body.h"
#include "server/chat/output/json_scan.h"

namespace krait::server {
namespace {

constexpr std::size_t kMaxWord = 4096;
/// Between a quote and what shows that it closes its string.
constexpr std::size_t kMaxBlanksAfterQuote = 64;

bool is_word_byte(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return std::isalnum(value) != 0 || value >= 0x80U || byte == '_' || byte == '.' || byte == '+' || byte == '-' ||
         byte == '/' || byte == '$' || byte == '@' || byte == '%';
}

void append_unit(std::string& json, unsigned unit) {
  constexpr const char* kHex = "0123456789abcdef";
  json += "\\u";
  for (unsigned shift = 16; shift > 0; shift -= 4) json += kHex[(unit >> (shift - 4U)) & 15U];
}

std::string word_json(std::string word) {
  if (word == "True" || word == "true") return "true";
  if (word == "False" || word == "false") return "false";
  if (word == "None" || word == "null") return "null";
  if (nlohmann::json::accept(word)) return word;
  // Numbers that Python writes and JSON does not.
  std::string number = word;
  if (number.starts_with("+")) number.erase(0, 1);
  if (number.starts_with(".")) number.insert(0, "0");
  if (number.starts_with("-.")) number.insert(1, "0");
  if (number.ends_with(".")) number += "0";
  return nlohmann::json::accept(number) ? number : json_quoted(word);
}

}  // namespace

PythonLiteral::PythonLiteral(std::string string_quote)
    : string_quote_(std::move(string_quote)), marked_end_({string_quote_.empty() ? "\"" : string_quote_}) {}

PythonLiteral::Step PythonLiteral::feed(char byte, std::string& json) {
  switch (state_) {
    case State::kValue:
      return feed_value(byte, json);
    case State::kWord:
      if (is_word_byte(byte)) {
        word_ += byte;
        return word_.size() > kMaxWord ? Step::kBad : Step::kMore;
      }
      if (byte == '"' || byte == '\'') return Step::kBad;
      end_word(json);
      if (value_ended() == Step::kDone) return Step::kBefore;
      return feed_after(byte, json);
    case State::kQuoteOpening:
      word_ += byte;
      if (!string_quote_.starts_with(word_)) return Step::kBad;
      if (word_ != string_quote_) return Step::kMore;
      json += '"';
      state_ = State::kMarkedString;
      return Step::kMore;
    case State::kMarkedString: {
      std::string text;
      const int marker = marked_end_.feed(byte, text);
      for (const char c : text) append_json_escaped(json, c);
      if (marker < 0) return Step::kMore;
      json += '"';
      return value_ended();
    }
    case State::kString:
      return feed_string(byte, json);
    case State::kMaybeClosed:
      return feed_maybe_closed(byte, json);
    case State::kAfter:
      return feed_after(byte, json);
  }
  return Step::kBad;
}

void PythonLiteral::before_value(std::string& json) {
  if (open_.empty()) return;
  if (open_.back().comma) json += ", ";
  open_.back().comma = false;
}

PythonLiteral::Step PythonLiteral::feed_value(char byte, std::string& json) {
  if (is_blank(byte)) return Step::kMore;
  if (!open_.empty() && byte == open_.back().close && (!open_.back().dict || open_.back().key_next)) {
    return close(json);
  }
  if (!string_quote_.empty() && byte == string_quote_.front()) {
    before_value(json);
    word_ = byte;
    state_ = State::kQuoteOpening;
    return Step::kMore;
  }
  if (string_quote_.empty() && (byte == '"' || byte == '\'')) {
    before_value(json);
    json += '"';
    quote_ = byte;
    triple_ = escaped_ = false;
    empty_string_ = true;
    quotes_ = hex_left_ = 0;
    state_ = State::kString;
    return Step::kMore;
  }
  if (byte == '[' || byte == '(' || byte == '{') return open(byte, json);
  if (!is_word_byte(byte)) return Step::kBad;
  before_value(json);
  word_ = byte;
  state_ = State::kWord;
  return Step::kMore;
}

PythonLiteral::Step PythonLiteral::open(char byte, std::string& json) {
  if (open_.size() >= kMaxDepth || (!open_.empty() && open_.back().dict && open_.back().key_next)) return Step::kBad;
  before_value(json);
  Container container;
  container.dict = container.key_next = byte == '{';
  container.close = byte == '{' ? '}' : (byte == '(' ? ')' : ']');
  json += container.dict ? '{' : '[';
  open_.push_back(container);
  state_ = State::kValue;
  return Step::kMore;
}

PythonLiteral::Step PythonLiteral::close(std::string& json) {
  json += open_.back().dict ? '}' : ']';
  open_.pop_back();
  return value_ended();
}

PythonLiteral::Step PythonLiteral::value_ended() {
  state_ = State::kAfter;
  return open_.empty() ? Step::kDone : Step::kMore;
}

PythonLiteral::Step PythonLiteral::feed_after(char byte, std::string& json) {
  if (is_blank(byte)) return Step::kMore;
  Container& container = open_.back();
  if (container.dict && container.key_next) {
    if (byte != ':') return Step::kBad;
    json += ": ";
    container.key_next = false;
    state_ = State::kValue;
    return Step::kMore;
  }
  if (byte == container.close) return close(json);
  if (byte != ',') return Step::kBad;
  container.comma = true;
  container.key_next = container.dict;
  state_ = State::kValue;
  return Step::kMore;
}

void PythonLiteral::end_word(std::string& json) {
  const bool is_key = !open_.empty() && open_.back().dict && open_.back().key_next;
  json += is_key ? json_quoted(word_) : word_json(word_);
}

PythonLiteral::Step PythonLiteral::feed_string(char byte, std::string& json) {
  if (escaped_ || hex_left_ > 0) {
    feed_escape(byte, json);
    return Step::kMore;
  }
  if (byte == quote_) {
    if (!triple_) {
      state_ = State::kMaybeClosed;
      blanks_.clear();
      return Step::kMore;
    }
    if (++quotes_ < 3) return Step::kMore;
    json += '"';
    return value_ended();
  }
  for (; quotes_ > 0; --quotes_) append_json_escaped(json, quote_);
  empty_string_ = false;
  if (byte == '\\') {
    escaped_ = true;
  } else {
    append_json_escaped(json, byte);
  }
  return Step::kMore;
}

PythonLiteral::Step PythonLiteral::feed_maybe_closed(char byte, std::string& json) {
  if (is_blank(byte) && blanks_.size() < kMaxBlanksAfterQuote) {
    blanks_ += byte;
    return Step::kMore;
  }
  if (byte == ',' || byte == ')' || byte == ']' || byte == '}' || byte == ':') {
    json += '"';
    if (value_ended() == Step::kDone) return Step::kBefore;
    return feed_after(byte, json);
  }
  state_ = State::kString;
  if (byte == quote_ && empty_string_ && blanks_.empty()) {
    triple_ = true;
    return Step::kMore;
  }
  append_json_escaped(json, quote_);
  for (const char blank : blanks_) append_json_escaped(json, blank);
  empty_string_ = false;
  return feed_string(byte, json);
}

void PythonLiteral::feed_escape(char byte, std::string& json) {
  if (hex_left_ > 0) {
    if (std::isxdigit(static_cast<unsigned char>(byte)) == 0) {
      hex_left_ = 0;
      append_unit(json, 0xFFFDU);
      feed_string(byte, json);
      return;
    }
    const unsigned digit = byte <= '9' ? static_cast<unsigned>(byte - '0') : (static_cast<unsigned>(byte) & 15U) + 9U;
    code_ = code_ * 16U + digit;
    if (--hex_left_ == 0) end_escape(json);
    return;
  }
  escaped_ = false;
  code_ = 0;
  switch (byte) {
    case 'x':
      hex_left_ = 2;
      return;
    case 'u':
      hex_left_ = 4;
      return;
    case 'U':
      hex_left_ = 8;
      return;
    case 'n':
      json += "\\n";
      return;
    case 't':
      json += "\\t";
      return;
    case 'r':
      json += "\\r";
      return;
    case 'b':
      json += "\\b";
      return;
    case 'f':
      json += "\\f";
      return;
    case 'a':
      json += "\\u0007";
      return;
    case 'v':
      json += "\\u000b";
      return;
    case '0':
      json += "\\u0000";
      return;
    case '\n':
      return;
    case '\\':
    case '\'':
    case '"':
      append_json_escaped(json, byte);
      return;
    default:  // Python keeps the backslash of what is no escape
      json += "\\\\";
      append_json_escaped(json, byte);
  }
}

void PythonLiteral::end_escape(std::string& json) {
  if (code_ > 0x10FFFFU || (code_ >= 0xD800U && code_ < 0xE000U)) code_ = 0xFFFDU;
  if (code_ < 0x10000U) {
    append_unit(json, code_);
    return;
  }
  append_unit(json, 0xD800U + ((code_ - 0x10000U) >> 10U));
  append_unit(json, 0xDC00U + ((code_ - 0x10000U) & 0x3FFU));
}

}  // namespace krait::server
