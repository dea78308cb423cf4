// Case mapping is one character for one (utf8proc's simple mappings), with the one exception that occurs in practice.
#include "server/chat/jinja/strings.h"

#include <utf8proc.h>

#include <algorithm>

#include "models/tokenizer/unicode_classes.h"
#include "models/tokenizer/utf8.h"

namespace krait::server::jinja {
namespace {

/// str.isspace: the White_Space property and the four separators of ASCII.
bool is_space(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

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
  return map_characters(text, [](char32_t c, std::string& out) {
    if (c == 0xDF) {
      out += "SS";
    } else {
      append_code_point(static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))), out);
    }
  });
}

std::string to_lower(std::string_view text) {
  return map_characters(text, [](char32_t c, std::string& out) {
    append_code_point(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))), out);
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

std::vector<std::string_view> split_words(std::string_view text, std::int64_t limit) {
  std::vector<std::string_view> words;
  for (std::size_t pos = space_end(text, 0); pos < text.size(); pos = space_end(text, pos)) {
    if (limit-- == 0) {
      words.push_back(strip(text.substr(pos), Side::kRight));
      break;
    }
    const std::size_t begin = pos;
    while (pos < text.size() && space_end(text, pos) == pos) next_code_point(text, pos);
    words.push_back(text.substr(begin, pos - begin));
  }
  return words;
}

}  // namespace krait::server::jinja
