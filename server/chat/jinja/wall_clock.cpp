// Dates of templates. Python hands a format on to the C library after replacing the codes that it knows itself; so it
// is done here, one code at a time, because strftime reads a %E…, a %O… and glibc's flags and widths.
#include "server/chat/jinja/wall_clock.h"

#include <array>
#include <cstdio>

#include "server/chat/jinja/error.h"

namespace krait::server {
namespace {

/// Reads `digits` decimal digits.
bool take_number(std::string_view& text, std::size_t digits, int& value) {
  if (text.size() < digits) return false;
  value = 0;
  for (const char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return true;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

bool take_fraction(std::string_view& text, int& microsecond) {
  int unit = 100'000;
  std::size_t digits = 0;
  for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1), ++digits, unit /= 10)
    microsecond += (text[0] - '0') * unit;
  return digits > 0 && digits <= 9;
}

bool take_time(std::string_view& text, WallClock& clock) {
  std::tm& time = clock.time;
  if (!take_number(text, 2, time.tm_hour) || !take(text, ':') || !take_number(text, 2, time.tm_min)) return false;
  if (!take(text, ':')) return true;
  if (!take_number(text, 2, time.tm_sec)) return false;
  return !take(text, '.') || take_fraction(text, clock.microsecond);
}

bool take_zone(std::string_view& text) {
  if (text.empty() || take(text, 'Z')) return true;
  int ignored = 0;
  if (!take(text, '+') && !take(text, '-')) return false;
  if (!take_number(text, 2, ignored)) return false;
  take(text, ':');
  return text.empty() || take_number(text, 2, ignored);
}

bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

/// Fills in the day of the week and of the year; false for a day that no calendar has.
bool complete(WallClock& clock) {
  std::tm& time = clock.time;
  const int year = time.tm_year + 1900;
  const std::array<int, 12> lengths = {31, is_leap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year < 1 || time.tm_mon < 0 || time.tm_mon > 11 || time.tm_mday < 1 ||
      time.tm_mday > lengths[static_cast<std::size_t>(time.tm_mon)] || time.tm_hour > 23 || time.tm_min > 59 ||
      time.tm_sec > 59) {
    return false;
  }
  time.tm_yday = time.tm_mday - 1;
  for (int month = 0; month < time.tm_mon; ++month) time.tm_yday += lengths[static_cast<std::size_t>(month)];
  const int before = year - 1;  // 0001-01-01 was a Monday
  time.tm_wday = (1 + before * 365 + before / 4 - before / 100 + before / 400 + time.tm_yday) % 7;
  time.tm_isdst = -1;
  return true;
}

}  // namespace

std::optional<WallClock> parse_wall_clock(std::string_view text) {
  WallClock clock;
  std::tm& time = clock.time;
  if (!take_number(text, 4, time.tm_year) || !take(text, '-') || !take_number(text, 2, time.tm_mon) ||
      !take(text, '-') || !take_number(text, 2, time.tm_mday)) {
    return std::nullopt;
  }
  time.tm_year -= 1900;
  time.tm_mon -= 1;
  if ((take(text, 'T') || take(text, ' ')) && (!take_time(text, clock) || !take_zone(text))) return std::nullopt;
  return text.empty() && complete(clock) ? std::optional(clock) : std::nullopt;
}

namespace jinja {
namespace {

/// Behind the code that starts with the % at `begin`: flags, a width, a modifier and a letter.
std::size_t code_end(const std::string& format, std::size_t begin) {
  std::size_t at = begin + 1;
  while (at < format.size() && std::string_view("_-0^#+").find(format[at]) != std::string_view::npos) ++at;
  const std::size_t width = at;
  while (at < format.size() && format[at] >= '0' && format[at] <= '9') ++at;
  if (at - width > 3) render_error("a width in this date format is too large");
  if (at < format.size() && (format[at] == 'E' || format[at] == 'O')) ++at;
  return at < format.size() ? at + 1 : at;
}

std::string format_code(const std::string& code, const WallClock& clock) {
  if (code == "%f") {
    char digits[16];
    std::snprintf(digits, sizeof digits, "%06d", clock.microsecond);
    return digits;
  }
  if (code == "%z" || code == "%Z") return "";
  char text[2048];
  const std::string marked = code + "|";  // so that an empty text is told from one that did not fit
  const std::size_t size = std::strftime(text, sizeof text, marked.c_str(), &clock.time);
  if (size == 0) render_error("this date format is not supported");
  return std::string(text, size - 1);
}

}  // namespace

std::string format_time(const std::string& format, const WallClock& clock) {
  std::string text;
  for (std::size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      text.push_back(format[at++]);
    } else if (format.compare(at, 3, "%:z") == 0) {
      at += 3;
    } else {
      const std::size_t end = code_end(format, at);
      text += format_code(format.substr(at, end - at), clock);
      at = end;
    }
  }
  return text;
}

}  // namespace jinja
}  // namespace krait::server
