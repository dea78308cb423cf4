#pragma once

#include <cstddef>
#include <string_view>

namespace krait {

/// The White_Space property, which `\s` and Rust's char::is_whitespace mean.
bool is_white_space(char32_t c);
/// General categories Nd, Nl and No (Rust's char::is_numeric).
bool is_numeric(char32_t c);
/// ASCII punctuation and symbols, and the general categories P*.
bool is_punctuation(char32_t c);
/// General categories M* (marks).
bool is_mark(char32_t c);
/// General category Mn.
bool is_non_spacing_mark(char32_t c);
/// General categories Cc, Cf and Co: control, format, private use.
bool is_other(char32_t c);
/// What `\w` matches: letters, marks, decimal and letter numbers, connectors and joiners.
bool is_word(char32_t c);

/// The end of the white space that starts at `pos` of valid UTF-8.
std::size_t white_space_end(std::string_view text, std::size_t pos);
/// Where the white space that ends at `pos` begins; never before `limit`.
std::size_t white_space_begin(std::string_view text, std::size_t limit, std::size_t pos);

}  // namespace krait
