// Tokens inside {{ }} and {% %}.
#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "models/tokenizer/utf8.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/token.h"

namespace krait::server::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
/// Letters beyond ASCII count by their bytes; white space beyond ASCII is told apart before.
bool is_name(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// Digits, with single underscores between them.
std::size_t digits_end(std::string_view source, std::size_t pos) {
  while (pos < source.size() &&
         (is_digit(source[pos]) || (source[pos] == '_' && pos + 1 < source.size() && is_digit(source[pos + 1])))) {
    ++pos;
  }
  return pos;
}

bool digit_at(std::string_view source, std::size_t pos) { return pos < source.size() && is_digit(source[pos]); }

/// 0x…, 0o… and 0b…, or nullopt.
std::optional<TagToken> read_prefixed(std::string_view source, std::size_t begin, Position at) {
  if (source[begin] != '0' || begin + 1 >= source.size()) return std::nullopt;
  std::string text(source.substr(begin, 2));
  text[1] = text[1] >= 'A' && text[1] <= 'Z' ? static_cast<char>(text[1] - 'A' + 'a') : text[1];
  const std::string_view digits = text[1] == 'x'   ? "_0123456789abcdefABCDEF"
                                  : text[1] == 'o' ? "_01234567"
                                  : text[1] == 'b' ? "_01"
                                                   : "";
  std::size_t end = begin + 2;
  while (end < source.size() && digits.find(source[end]) != std::string_view::npos) ++end;
  if (digits.empty() || end == begin + 2) return std::nullopt;
  text += source.substr(begin + 2, end - begin - 2);
  std::erase(text, '_');
  return TagToken{.token = {.kind = TokenKind::kInteger, .text = std::move(text), .at = at}, .end = end};
}

TagToken read_number(std::string_view source, std::size_t begin, Position at) {
  if (auto prefixed = read_prefixed(source, begin, at)) return std::move(*prefixed);
  std::size_t end = digits_end(source, begin);
  TokenKind kind = TokenKind::kInteger;
  const bool behind_dot = begin > 0 && source[begin - 1] == '.';  // the 0 and the 1 of `list.0.1` are two integers
  if (!behind_dot && end < source.size() && source[end] == '.' && digit_at(source, end + 1)) {
    end = digits_end(source, end + 1);
    kind = TokenKind::kFloat;
  }
  if (!behind_dot && end < source.size() && (source[end] == 'e' || source[end] == 'E')) {
    std::size_t exponent = end + 1;
    if (exponent < source.size() && (source[exponent] == '+' || source[exponent] == '-')) ++exponent;
    if (digit_at(source, exponent)) {
      end = digits_end(source, exponent);
      kind = TokenKind::kFloat;
    }
  }
  std::string text(source.substr(begin, end - begin));
  std::erase(text, '_');
  if (end < source.size() && is_name(source[end])) {
    throw TemplateError(Failure::kUnsupported, "the number '" + text + "' is followed by a letter", at);
  }
  if (kind == TokenKind::kInteger && text.size() > 1 && text[0] == '0' &&
      text.find_first_not_of('0') != std::string::npos) {
    throw TemplateError(Failure::kSyntax, "the number '" + text + "' begins with 0", at);
  }
  return {.token = {.kind = kind, .text = std::move(text), .at = at}, .end = end};
}

/// Resolves the escapes of a Python string literal; unknown ones stay as they are, as in Python.
class Unescaper {
 public:
  Unescaper(std::string_view raw, Position at) : raw_(raw), at_(at) {}

  std::string run() {
    while (pos_ < raw_.size()) {
      const char c = raw_[pos_++];
      if (c != '\\' || pos_ == raw_.size()) {
        out_.push_back(c);
      } else {
        escape(raw_[pos_++]);
      }
    }
    return std::move(out_);
  }

 private:
  void escape(char c) {
    constexpr std::string_view kLetters = "abfnrtv\\'\"";
    constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\'\"";
    if (const std::size_t simple = kLetters.find(c); simple != std::string_view::npos) {
      out_.push_back(kValues[simple]);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      code_point(c == 'x' ? 2 : (c == 'u' ? 4 : 8), 16);
    } else if (c >= '0' && c <= '7') {
      --pos_;
      const std::size_t end = std::min(raw_.find_first_not_of("01234567", pos_), raw_.size());
      code_point(std::min<std::size_t>(end - pos_, 3), 8);
    } else if (c == 'N') {
      throw TemplateError(Failure::kUnsupported, "the escape \\N{…} is not supported", at_);
    } else if (c != '\n') {
      out_.push_back('\\');
      out_.push_back(c);
    }
  }

  void code_point(std::size_t length, int base) {
    const std::string_view digits = raw_.substr(pos_, length);
    unsigned value = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    const bool surrogate = value >= 0xD800 && value < 0xE000;
    if (digits.size() != length || parsed.ptr != digits.data() + digits.size() || surrogate || value > 0x10FFFF) {
      throw TemplateError(Failure::kSyntax, "a bad escape in a string", at_);
    }
    append_code_point(value, out_);
    pos_ += length;
  }

  std::string_view raw_;
  Position at_;
  std::size_t pos_ = 0;
  std::string out_;
};

TagToken read_string(std::string_view source, std::size_t begin, Position at) {
  const char quote = source[begin];
  std::size_t end = begin + 1;
  while (end < source.size() && source[end] != quote) end += source[end] == '\\' ? 2 : 1;
  if (end >= source.size()) throw TemplateError(Failure::kSyntax, "a string is not closed", at);
  std::string value = Unescaper(source.substr(begin + 1, end - begin - 1), at).run();
  return {.token = {.kind = TokenKind::kString, .text = std::move(value), .at = at}, .end = end + 1};
}

TagToken read_name(std::string_view source, std::size_t begin, Position at) {
  std::size_t end = begin;
  while (end < source.size() && is_name(source[end])) ++end;
  return {.token = {.kind = TokenKind::kName, .text = std::string(source.substr(begin, end - begin)), .at = at},
          .end = end};
}

}  // namespace

TagToken read_tag_token(std::string_view source, std::size_t pos, Position at) {
  constexpr std::array<std::string_view, 6> kLong = {"//", "**", "==", "!=", ">=", "<="};
  constexpr std::string_view kShort = "+-/*%~[](){}<>=.:|,";
  const char first = source[pos];
  if (is_digit(first)) return read_number(source, pos, at);
  if (is_name(first)) return read_name(source, pos, at);
  if (first == '"' || first == '\'') return read_string(source, pos, at);
  const std::string_view rest = source.substr(pos);
  for (const std::string_view candidate : kLong) {
    if (rest.starts_with(candidate)) {
      return {.token = {.kind = TokenKind::kOperator, .text = std::string(candidate), .at = at}, .end = pos + 2};
    }
  }
  if (kShort.find(first) == std::string_view::npos) {
    throw TemplateError(Failure::kSyntax, std::string("unexpected character '") + first + "'", at);
  }
  return {.token = {.kind = TokenKind::kOperator, .text = std::string(1, first), .at = at}, .end = pos + 1};
}

}  // namespace krait::server::jinja
