// Case mapping is one character for one (utf8proc), but for the exceptions in case_tables and the final sigma.
#include "server/chat/jinja/strings.h"

#include <utf8proc.h>

#include <algorithm>

#include "models/tokenizer/unicode_classes.h"
#include "models/tokenizer/utf8.h"
#include "server/chat/jinja/case_tables.h"

namespace krait::server::jinja {
namespace {

std::size_t last_character(std::string_view text) {
  std::size_t pos = text.size() - 1;
  while (pos > 0 && (static_cast<std::uint8_t>(text[pos]) & 0xC0U) == 0x80U) --pos;
  return pos;
}

template <typename Predicate>
std::string_view strip_if(std::string_view text, Side side, Predicate goes) {
  while (side != Side::kRight && !text.empty()) {
    std::size_t pos = 0;
    if (!goes(next_code_point(text, pos))) break;
    text.remove_prefix(pos);
  }
  while (side != Side::kLeft && !text.empty()) {
    const std::size_t begin = last_character(text);
    std::size_t pos = begin;
    if (!goes(next_code_point(text, pos))) break;
    text = text.substr(0, begin);
  }
  return text;
}

template <typename Map>
std::string map_characters(std::string_view text, Map map) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t pos = 0; pos < text.size();) map(next_code_point(text, pos), result);
  return result;
}

void append_upper(char32_t c, std::string& out) {
  const std::string_view special = special_upper(c);
  if (!special.empty()) {
    out += special;
  } else {
    append_code_point(static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))), out);
  }
}

void append_lower(char32_t c, std::string& out) {
  if (c == 0x130) {
    out += "i\u0307";
  } else {
    append_code_point(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))), out);
  }
}

/// What does not end a word for the final sigma.
bool is_case_ignorable(char32_t c) {
  constexpr std::u32string_view kInsideWords =
      U"'.:\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52\uFE55\uFF07\uFF0E\uFF1A";
  if (kInsideWords.find(c) != std::u32string_view::npos) return true;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_LM || category == UTF8PROC_CATEGORY_SK;
}

/// Whether the capital sigma from `begin` to `end` ends a word: its lower case is another letter then.
bool is_final_sigma(std::string_view text, std::size_t begin, std::size_t end) {
  bool cased_before = false;
  std::string_view before = text.substr(0, begin);
  while (!before.empty() && !cased_before) {
    const std::size_t at = last_character(before);
    std::size_t pos = at;
    const char32_t c = next_code_point(before, pos);
    if (!is_case_ignorable(c)) {
      if (!is_cased(c)) return false;
      cased_before = true;
    }
    before = before.substr(0, at);
  }
  while (cased_before && end < text.size()) {
    const char32_t c = next_code_point(text, end);
    if (!is_case_ignorable(c)) return !is_cased(c);
  }
  return cased_before;
}

std::vector<std::string_view> split_from_right(std::string_view text, std::string_view separator, std::int64_t limit) {
  std::vector<std::string_view> parts;
  while (limit-- != 0) {
    const std::size_t at = text.rfind(separator);
    if (at == std::string_view::npos) break;
    parts.push_back(text.substr(at + separator.size()));
    text = text.substr(0, at);
  }
  parts.push_back(text);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

}  // namespace

bool is_alphabetic(char32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
bool is_decimal(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ND; }
bool is_digit(char32_t c) { return is_decimal(c) || is_other_digit(c); }
bool is_numeric(char32_t c) { return is_digit(c) || is_other_numeric(c); }
bool is_alphanumeric(char32_t c) { return is_alphabetic(c) || is_numeric(c); }
bool is_printable(char32_t c) {
  const auto kind = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  if (c == ' ') return true;
  return kind != UTF8PROC_CATEGORY_CN && (kind < UTF8PROC_CATEGORY_ZS || kind > UTF8PROC_CATEGORY_CO);
}

bool is_all_in_case(std::string_view text, bool upper) {
  bool any = false;
  for (std::size_t pos = 0; pos < text.size();) {
    const char32_t c = next_code_point(text, pos);
    if (upper ? is_cased(c) && !is_upper(c) : is_cased(c) && !is_lower(c)) return false;
    any = any || is_cased(c);
  }
  return any;
}

bool is_space(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }
bool is_lower(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_LL || is_other_lower(c);
}
bool is_upper(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_LU || is_other_upper(c);
}
bool is_cased(char32_t c) {
  return is_lower(c) || is_upper(c) || utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_LT;
}

std::string_view strip(std::string_view text, Side side) { return strip_if(text, side, is_space); }

std::string_view strip(std::string_view text, std::string_view set, Side side) {
  std::vector<char32_t> members;
  for (std::size_t pos = 0; pos < set.size();) members.push_back(next_code_point(set, pos));
  return strip_if(text, side,
                  [&members](char32_t c) { return std::find(members.begin(), members.end(), c) != members.end(); });
}

std::size_t space_end(std::string_view text, std::size_t pos) {
  while (pos < text.size()) {
    std::size_t next = pos;
    if (!is_space(next_code_point(text, next))) break;
    pos = next;
  }
  return pos;
}

std::int64_t count_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<std::uint8_t>(c) & 0xC0U) != 0x80U; });
}

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> result;
  for (std::size_t pos = 0; pos < text.size();) {
    const std::size_t begin = pos;
    next_code_point(text, pos);
    result.push_back(text.substr(begin, pos - begin));
  }
  return result;
}

std::string to_upper(std::string_view text) {
  return map_characters(text, [](char32_t c, std::string& out) { append_upper(c, out); });
}

std::string to_lower(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t pos = 0; pos < text.size();) {
    const std::size_t begin = pos;
    const char32_t c = next_code_point(text, pos);
    if (c == 0x3A3) {
      append_code_point(is_final_sigma(text, begin, pos) ? 0x3C2 : 0x3C3, result);
    } else {
      append_lower(c, result);
    }
  }
  return result;
}

std::string to_title(std::string_view character) {
  std::size_t pos = 0;
  const char32_t c = next_code_point(character, pos);
  const std::string_view special = special_title(c);
  return special.empty() ? to_upper(character.substr(0, pos)) : std::string(special);
}

std::string to_capitalized(std::string_view text, bool all_words) {
  std::string result;
  bool inside_word = false;
  for (std::size_t pos = 0; pos < text.size();) {
    const std::size_t begin = pos;
    const char32_t c = next_code_point(text, pos);
    if (!inside_word) {
      result += to_title(text.substr(begin, pos - begin));
    } else if (c == 0x3A3) {
      append_code_point(is_final_sigma(text, begin, pos) ? 0x3C2 : 0x3C3, result);
    } else {
      append_lower(c, result);
    }
    inside_word = !all_words || is_cased(c);
  }
  return result;
}

std::string swap_case(std::string_view text) {
  std::string result;
  for (std::size_t pos = 0; pos < text.size();) {
    const std::size_t begin = pos;
    const char32_t c = next_code_point(text, pos);
    if (is_upper(c)) {
      result += c == 0x3A3 && is_final_sigma(text, begin, pos) ? "\u03C2" : to_lower(text.substr(begin, pos - begin));
    } else if (is_lower(c)) {
      append_upper(c, result);
    } else {
      append_code_point(c, result);
    }
  }
  return result;
}

std::string fold_case(std::string_view text) {
  return map_characters(text, [](char32_t c, std::string& out) {
    const std::string_view special = special_fold(c);
    special.empty() ? append_lower(c, out) : static_cast<void>(out += special);
  });
}

std::string escape_html(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '\'':
        result += "&#39;";
        break;
      case '"':
        result += "&#34;";
        break;
      default:
        result.push_back(c);
    }
  }
  return result;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to, std::int64_t limit) {
  std::string result;
  std::size_t done = 0;
  while (limit-- != 0) {
    std::size_t at = text.find(from, done);
    if (at == std::string_view::npos) break;
    result.append(text.substr(done, at - done)).append(to);
    done = at + from.size();
    if (from.empty()) {
      if (done == text.size()) return result;
      next_code_point(text, at);
      result.append(text.substr(done, at - done));
      done = at;
    }
  }
  result.append(text.substr(done));
  return result;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator, std::int64_t limit, Side from) {
  if (from == Side::kRight) return split_from_right(text, separator, limit);
  std::vector<std::string_view> parts;
  while (limit-- != 0) {
    const std::size_t at = text.find(separator);
    if (at == std::string_view::npos) break;
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + separator.size());
  }
  parts.push_back(text);
  return parts;
}

std::vector<std::string_view> split_words_from_right(std::string_view text, std::int64_t limit) {
  std::vector<std::string_view> words;
  for (text = strip(text, Side::kRight); !text.empty(); text = strip(text, Side::kRight)) {
    if (limit-- == 0) {
      words.push_back(text);
      break;
    }
    std::size_t begin = text.size();
    while (begin > 0) {
      const std::size_t at = last_character(text.substr(0, begin));
      std::size_t pos = at;
      if (is_space(next_code_point(text, pos))) break;
      begin = at;
    }
    words.push_back(text.substr(begin));
    text = text.substr(0, begin);
  }
  std::reverse(words.begin(), words.end());
  return words;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  std::size_t begin = 0;
  for (std::size_t pos = 0; pos < text.size();) {
    const std::size_t at = pos;
    const char32_t c = next_code_point(text, pos);
    const bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!ends) continue;
    if (c == '\r' && pos < text.size() && text[pos] == '\n') ++pos;
    lines.push_back(text.substr(begin, (keep_ends ? pos : at) - begin));
    begin = pos;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::vector<std::string_view> split_words(std::string_view text, std::int64_t limit) {
  std::vector<std::string_view> words;
  for (std::size_t pos = space_end(text, 0); pos < text.size(); pos = space_end(text, pos)) {
    if (limit-- == 0) {
      words.push_back(text.substr(pos));
      break;
    }
    const std::size_t begin = pos;
    while (pos < text.size() && space_end(text, pos) == pos) next_code_point(text, pos);
    words.push_back(text.substr(begin, pos - begin));
  }
  return words;
}

}  // namespace krait::server::jinja
