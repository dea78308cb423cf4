// Numbers as str.format writes them. Reference: "Format Specification Mini-Language" in Python's documentation of the
// module string; digits come from printf, which rounds the exact value as Python does.
#include "server/chat/jinja/number_format.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "models/tokenizer/utf8.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/strings.h"
#include "server/chat/jinja/value.h"

namespace krait::server::jinja {
namespace {

constexpr std::int64_t kMaxFieldSize = 1 << 20;
constexpr std::int64_t kMaxPrecision = 1000;

bool is_align(std::string_view character) {
  return character == "<" || character == ">" || character == "^" || character == "=";
}

/// Takes a run of digits; nullopt if there is none.
std::optional<std::int64_t> take_digits(std::string_view& text) {
  std::size_t count = 0;
  std::int64_t value = 0;
  while (count < text.size() && text[count] >= '0' && text[count] <= '9') {
    value = std::min<std::int64_t>(value * 10 + (text[count] - '0'), kMaxFieldSize + 1);
    ++count;
  }
  text.remove_prefix(count);
  return count > 0 ? std::optional(value) : std::nullopt;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

/// Puts `separator` between groups of `size` digits, counted from the right.
std::string grouped(const std::string& digits, char separator, std::size_t size) {
  if (separator == '\0') return digits;
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % size == 0) text.push_back(separator);
    text.push_back(digits[i]);
  }
  return text;
}

/// Sign or prefix, digits and what follows them, in the field.
std::string in_field(const std::string& prefix, const std::string& digits, const std::string& rest,
                     const NumberFormat& format, std::size_t group) {
  std::string body = grouped(digits, format.grouping, group);
  if (format.align == '=' && format.fill == "0" && format.grouping != '\0') {
    // Zeros count as digits: they are grouped too.
    std::string padded = digits;
    const auto room = format.width - static_cast<std::int64_t>(prefix.size() + rest.size());
    while (static_cast<std::int64_t>(body.size()) < room) {
      padded.insert(padded.begin(), '0');
      body = grouped(padded, format.grouping, group);
    }
    return prefix + body + rest;
  }
  const std::string whole = prefix + body + rest;
  if (format.align != '=') return pad_text(whole, format, '>');
  const auto missing = format.width - count_characters(whole);
  std::string zeros;
  for (std::int64_t i = 0; i < missing; ++i) zeros += format.fill;
  return prefix + zeros + body + rest;
}

std::string sign_of(bool negative, const NumberFormat& format) {
  if (negative) return "-";
  return format.sign == '-' ? "" : std::string(1, format.sign);
}

std::string print(const char* conversion, std::int64_t precision, double value) {
  std::string text(static_cast<std::size_t>(precision) + 400, '\0');
  const int size = std::snprintf(text.data(), text.size(), conversion, static_cast<int>(precision), value);
  text.resize(static_cast<std::size_t>(size));
  return text;
}

/// The type that is left out, with a precision: as g, but always with a digit behind the point.
std::string general_with_point(double value, std::int64_t precision) {
  precision = std::max<std::int64_t>(precision, 1);
  const std::string scientific = print("%.*e", precision - 1, value);
  const int exponent = std::stoi(scientific.substr(scientific.find('e') + 1));
  const bool fixed = exponent >= -4 && exponent < precision - 1;
  std::string text = fixed ? print("%.*f", precision - 1 - exponent, value) : scientific;
  std::string tail;
  if (const std::size_t at = text.find('e'); at != std::string::npos) {
    tail = text.substr(at);
    text.resize(at);
  }
  if (text.find('.') != std::string::npos) text.resize(text.find_last_not_of('0') + 1);
  if (text.back() == '.') fixed ? text.push_back('0') : text.pop_back();
  if (fixed && text.find('.') == std::string::npos) text += ".0";
  return text + tail;
}

/// The digits of a value that is not negative.
std::string float_digits(double value, const NumberFormat& format) {
  if (format.type == '\0') {
    return format.precision ? general_with_point(value, *format.precision) : float_text(value);
  }
  const std::int64_t precision = format.precision.value_or(6);
  switch (format.type) {
    case 'e':
      return print(format.alternate ? "%#.*e" : "%.*e", precision, value);
    case 'E':
      return print(format.alternate ? "%#.*E" : "%.*E", precision, value);
    case 'f':
    case 'F':
      return print(format.alternate ? "%#.*f" : "%.*f", precision, value);
    case '%':
      return print(format.alternate ? "%#.*f" : "%.*f", precision, value * 100.0) + "%";
    case 'G':
      return print(format.alternate ? "%#.*G" : "%.*G", precision, value);
    default:
      return print(format.alternate ? "%#.*g" : "%.*g", precision, value);
  }
}

}  // namespace

void check_field_size(std::int64_t size) {
  if (size > kMaxFieldSize) throw TemplateError(Failure::kLimit, "a field of a format is too wide");
}

NumberFormat parse_format_spec(std::string_view spec) {
  NumberFormat format;
  const std::string whole(spec);
  if (!spec.empty()) {
    std::size_t first = 0;
    next_code_point(spec, first);
    std::size_t second = first;
    if (first < spec.size()) next_code_point(spec, second);
    if (is_align(spec.substr(first, second - first))) {
      format.fill = std::string(spec.substr(0, first));
      format.align = spec[first];
      spec.remove_prefix(second);
    } else if (is_align(spec.substr(0, first))) {
      format.align = spec[0];
      spec.remove_prefix(1);
    }
  }
  if (!spec.empty() && (spec[0] == '+' || spec[0] == '-' || spec[0] == ' ')) {
    format.sign = spec[0];
    spec.remove_prefix(1);
  }
  if (spec.starts_with('z')) render_error("the option 'z' of a format is not supported");
  format.alternate = take(spec, '#');
  if (spec.starts_with('0') && format.align == '\0') {
    format.fill = "0";
    format.align = '0';  // = for numbers; texts only take the fill
    spec.remove_prefix(1);
  }
  format.width = take_digits(spec).value_or(0);
  if (!spec.empty() && (spec[0] == ',' || spec[0] == '_')) {
    format.grouping = spec[0];
    spec.remove_prefix(1);
  }
  if (take(spec, '.')) {
    format.precision = take_digits(spec);
    if (!format.precision) render_error("Format specifier missing precision");
  }
  if (spec.size() > 1) render_error("Invalid format specifier '" + whole + "'");
  if (!spec.empty()) format.type = spec[0];
  check_field_size(std::max(format.width, format.precision.value_or(0)));
  return format;
}

std::string pad_text(const std::string& text, const NumberFormat& format, char fallback) {
  const std::int64_t missing = format.width - count_characters(text);
  if (missing <= 0) return text;
  const char align = format.align == '\0' || format.align == '0' ? fallback : format.align;
  const std::int64_t left = align == '<' ? 0 : (align == '^' ? missing / 2 : missing);
  std::string padded;
  for (std::int64_t i = 0; i < left; ++i) padded += format.fill;
  padded += text;
  for (std::int64_t i = left; i < missing; ++i) padded += format.fill;
  return padded;
}

std::string format_integer(std::int64_t value, const NumberFormat& spec) {
  NumberFormat format = spec;
  if (format.align == '0') format.align = '=';
  if (std::string_view("eEfFgG%").find(format.type) != std::string_view::npos && format.type != '\0')
    return format_float(static_cast<double>(value), spec);
  if (format.precision) render_error("Precision not allowed in integer format specifier");
  if (format.type == 'c') {
    if (value < 0 || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) render_error("%c arg not in range");
    std::string character;
    append_code_point(static_cast<char32_t>(value), character);
    return pad_text(character, format, '<');
  }
  const int base = format.type == 'x' || format.type == 'X' ? 16 : format.type == 'o' ? 8 : format.type == 'b' ? 2 : 10;
  if (base == 10 && format.type != '\0' && format.type != 'd' && format.type != 'n')
    render_error(std::string("Unknown format code '") + format.type + "' for object of type 'int'");
  if (base != 10 && format.grouping == ',') render_error("Cannot specify ',' with this format code");
  std::string prefix = sign_of(value < 0, format);
  if (format.alternate && base != 10) prefix += std::string("0") + format.type;
  std::uint64_t rest =
      value < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  const std::string_view letters = format.type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string digits;
  do {
    digits.push_back(letters[rest % static_cast<std::uint64_t>(base)]);
    rest /= static_cast<std::uint64_t>(base);
  } while (rest > 0);
  std::reverse(digits.begin(), digits.end());
  return in_field(prefix, digits, "", format, base == 10 ? 3 : 4);
}

std::string format_float(double value, const NumberFormat& spec) {
  NumberFormat format = spec;
  if (format.align == '0') format.align = '=';
  if (std::string_view("eEfFgGn%").find(format.type) == std::string_view::npos && format.type != '\0')
    render_error(std::string("Unknown format code '") + format.type + "' for object of type 'float'");
  if (format.precision.value_or(0) > kMaxPrecision)
    throw TemplateError(Failure::kLimit, "the precision of a format is too large");
  const std::string prefix = sign_of(std::signbit(value) && !std::isnan(value), format);
  if (!std::isfinite(value)) {
    const bool upper = format.type == 'E' || format.type == 'F' || format.type == 'G';
    const std::string text = std::isnan(value) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf");
    return in_field(prefix, "", text + (format.type == '%' ? "%" : ""), format, 3);
  }
  const std::string text = float_digits(std::abs(value), format);
  const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
  return in_field(prefix, text.substr(0, end), text.substr(end), format, 3);
}

}  // namespace krait::server::jinja
