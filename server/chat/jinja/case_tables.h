#pragma once

#include <string_view>

namespace krait::server::jinja {

/// Has the digit value of another kind than a decimal digit's, such as ².
bool is_other_digit(char32_t c);
/// Has a numeric value and is no digit, such as ½.
bool is_other_numeric(char32_t c);
/// Lower or upper case by property only, not by its category.
bool is_other_lower(char32_t c);
bool is_other_upper(char32_t c);
/// The mapping where it is special, else empty: upper case of several characters, title case that is not upper case,
/// case folding that is not lower case.
std::string_view special_upper(char32_t c);
std::string_view special_title(char32_t c);
std::string_view special_fold(char32_t c);

}  // namespace krait::server::jinja
