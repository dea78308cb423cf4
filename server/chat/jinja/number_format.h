#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace krait::server::jinja {

/// What Python's format specifications and % conversions have in common.
struct NumberFormat {
  std::string fill = " ";
  char align = '\0';  ///< < > ^ =, or none
  char sign = '-';    ///< - (negative numbers only), + or a blank
  bool alternate = false;
  std::int64_t width = 0;
  char grouping = '\0';  ///< , or _ between groups of digits
  std::optional<std::int64_t> precision;
  char type = '\0';
};

/// Reads the part behind the colon of a replacement field. Fails as Python does.
NumberFormat parse_format_spec(std::string_view spec);

/// `text` in a field of the format's width; `fallback` is the alignment where it has none.
std::string pad_text(const std::string& text, const NumberFormat& format, char fallback);
/// Types d, b, o, x, X, c, n and none.
std::string format_integer(std::int64_t value, const NumberFormat& format);
/// Types e, E, f, F, g, G, %, n and none.
std::string format_float(double value, const NumberFormat& format);

/// Fails for a width or precision that nobody can want.
void check_field_size(std::int64_t size);

}  // namespace krait::server::jinja
