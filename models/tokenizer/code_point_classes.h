#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace krait {

/// The character classes that the well-known split patterns are made of, a bit each; a set of classes is a mask.
enum CodePointClass : std::uint16_t {
  kLetter = 1U << 0,            ///< \p{L}
  kMark = 1U << 1,              ///< \p{M}
  kNumber = 1U << 2,            ///< \p{N}
  kSpace = 1U << 3,             ///< \s
  kUpper = 1U << 4,             ///< [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
  kLower = 1U << 5,             ///< [\p{Ll}\p{Lm}\p{Lo}\p{M}]
  kPunctuation = 1U << 6,       ///< [\p{P}\p{S}]
  kOther = 1U << 7,             ///< [^\s\p{L}\p{N}]
  kOtherUnmarked = 1U << 8,     ///< [^\s\p{L}\p{M}\p{N}]
  kNotAlphanumeric = 1U << 9,   ///< [^\r\n\p{L}\p{N}]
  kNotLetterOrSign = 1U << 10,  ///< [^\r\n\p{L}\p{P}\p{S}]
  kCommonCjk = 1U << 11,        ///< [一-龥぀-ゟ゠-ヿ]
  kHan = 1U << 12,              ///< \p{Han}
  kUpperNotHan = 1U << 13,      ///< kUpper without \p{Han}
  kLowerNotHan = 1U << 14,      ///< kLower without \p{Han}
};

/// The classes of every code point, taken from Oniguruma's own tables, so that the two cannot disagree on a character
/// that one version of Unicode knows and another does not.
class CodePointClasses {
 public:
  /// Built at the first call; throws StartupError when the library lacks a property.
  static const CodePointClasses& instance();

  [[nodiscard]] std::uint16_t of(char32_t code_point) const { return classes_[code_point]; }

 private:
  CodePointClasses();
  void add_property(std::string_view name, unsigned bits);
  void add_ctype(unsigned ctype, unsigned bits);

  std::vector<std::uint16_t> classes_;  ///< by code point
};

}  // namespace krait
