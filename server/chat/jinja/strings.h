#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace krait::server::jinja {

/// Python's str, over UTF-8: lengths and positions count code points.

enum class Side { kLeft, kRight, kBoth };

/// Without the white space (str.isspace) at its ends.
std::string_view strip(std::string_view text, Side side);
/// Without the characters of `set` at its ends.
std::string_view strip(std::string_view text, std::string_view set, Side side);
/// Where the white space that starts at `pos` ends.
std::size_t space_end(std::string_view text, std::size_t pos);

std::int64_t count_characters(std::string_view text);
/// Each character as a string of its own.
std::vector<std::string_view> characters(std::string_view text);

/// str.isalpha and so on, of one character.
bool is_alphabetic(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_alphanumeric(char32_t c);
bool is_printable(char32_t c);
inline bool is_ascii(char32_t c) { return c < 0x80; }
/// str.isupper or str.islower of a text.
bool is_all_in_case(std::string_view text, bool upper);
/// str.isspace, islower, isupper of one character; cased also counts title case.
bool is_space(char32_t c);
bool is_lower(char32_t c);
bool is_upper(char32_t c);
bool is_cased(char32_t c);

/// str.upper and so on, with the mappings of Unicode that take one character to several.
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
/// Of one character.
std::string to_title(std::string_view character);
/// str.capitalize, or with `all_words` str.title.
std::string to_capitalized(std::string_view text, bool all_words);
std::string swap_case(std::string_view text);
std::string fold_case(std::string_view text);

/// With & < > ' " as entities, as the Python package MarkupSafe writes them.
std::string escape_html(std::string_view text);

/// At most `limit` replacements (all, if negative). An empty `from` is found between all characters, as in Python.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to, std::int64_t limit);

/// str.split: at `separator`, which is not empty, at most `limit` times (all, if negative); from the right for
/// Side::kRight.
std::vector<std::string_view> split(std::string_view text, std::string_view separator, std::int64_t limit, Side from);
/// str.split without a separator: the words between white space.
std::vector<std::string_view> split_words(std::string_view text, std::int64_t limit);
std::vector<std::string_view> split_words_from_right(std::string_view text, std::int64_t limit);
/// str.splitlines, at every line end that Unicode has.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

}  // namespace krait::server::jinja
