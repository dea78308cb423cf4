#include "models/tokenizer/unicode_classes.h"

#include "models/tokenizer/unicode_tables.h"
#include "models/tokenizer/utf8.h"

namespace krait {
bool is_white_space(char32_t c) {
  if (c <= 0x20) return c == 0x20 || (c >= 0x09 && c <= 0x0D);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_numeric(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  return in_ranges(unicode_tables().numeric, c);
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) return (c > 0x20 && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c < 0x7F);
  return in_ranges(unicode_tables().punctuation, c);
}

bool is_mark(char32_t c) { return c >= 0x80 && in_ranges(unicode_tables().mark, c); }

bool is_non_spacing_mark(char32_t c) { return c >= 0x80 && in_ranges(unicode_tables().non_spacing, c); }

bool is_other(char32_t c) {
  if (c < 0x80) return c < 0x20 || c == 0x7F;
  return in_ranges(unicode_tables().other, c);
}

std::size_t white_space_end(std::string_view text, std::size_t pos) {
  while (pos < text.size()) {
    std::size_t next = pos;
    if (!is_white_space(next_code_point(text, next))) break;
    pos = next;
  }
  return pos;
}

std::size_t white_space_begin(std::string_view text, std::size_t limit, std::size_t pos) {
  while (pos > limit) {
    const std::size_t begin = previous_character(text, pos);
    std::size_t at = begin;
    if (!is_white_space(next_code_point(text, at))) break;
    pos = begin;
  }
  return pos;
}

bool is_word(char32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= 'a' && c <= 'z');
  return in_ranges(unicode_tables().word, c);
}

}  // namespace krait
