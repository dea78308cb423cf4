#include "models/tokenizer/score_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>

namespace krait {
namespace {

constexpr int kLargestPower = 308;
/// Beyond this, any number is zero or infinite, whatever its digits.
constexpr int kExponentLimit = 100'000;

double power_of_ten(int exponent) {
  static const auto kPowers = [] {
    std::array<double, kLargestPower + 1> powers{};
    for (int i = 0; i <= kLargestPower; ++i) {
      powers[static_cast<std::size_t>(i)] = std::strtod(("1e" + std::to_string(i)).c_str(), nullptr);
    }
    return powers;
  }();
  return kPowers[static_cast<std::size_t>(exponent)];
}

double scaled(std::uint64_t digits, int exponent) {
  auto value = static_cast<double>(digits);
  for (; exponent < -kLargestPower && value != 0.0; exponent += kLargestPower) value /= power_of_ten(kLargestPower);
  if (value == 0.0) return value;
  if (exponent > kLargestPower) return std::numeric_limits<double>::infinity();
  return exponent < 0 ? value / power_of_ten(-exponent) : value * power_of_ten(exponent);
}

}  // namespace

double score_from_text(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  std::uint64_t digits = 0;
  int exponent = 0;
  bool after_point = false;
  bool full = false;  // further digits are not read
  std::size_t pos = 0;
  for (; pos < text.size() && text[pos] != 'e' && text[pos] != 'E'; ++pos) {
    if (text[pos] == '.') {
      after_point = true;
      continue;
    }
    const auto digit = static_cast<std::uint64_t>(text[pos] - '0');
    full = full || digits > (std::numeric_limits<std::uint64_t>::max() - digit) / 10;
    if (!full) digits = digits * 10 + digit;
    if (full != after_point) exponent += after_point ? -1 : 1;
    exponent = std::clamp(exponent, -kExponentLimit, kExponentLimit);
  }
  if (pos < text.size()) {
    const long stated = std::strtol(std::string(text.substr(pos + 1)).c_str(), nullptr, 10);
    exponent += static_cast<int>(std::clamp<long>(stated, -kExponentLimit, kExponentLimit));
  }
  const double value = scaled(digits, exponent);
  return negative ? -value : value;
}

}  // namespace krait
