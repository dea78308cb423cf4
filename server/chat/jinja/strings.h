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

/// Upper and lower case, one character for one, but for ß, whose upper case is SS.
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);

/// With & < > ' " as entities, as the Python package MarkupSafe writes them.
std::string escape_html(std::string_view text);

/// At most `limit` replacements (all, if negative). An empty `from` is found between all characters, as in Python.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to, std::int64_t limit);

/// str.split: at `separator`, which is not empty, at most `limit` times (all, if negative); from the right for
/// Side::kRight.
std::vector<std::string_view> split(std::string_view text, std::string_view separator, std::int64_t limit, Side from);
/// str.split without a separator: the words between white space.
std::vector<std::string_view> split_words(std::string_view text, std::int64_t limit);

}  // namespace krait::server::jinja
