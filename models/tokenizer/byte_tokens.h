#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "models/tokenizer/vocabulary.h"

namespace krait {

/// The tokens <0x00> to <0xFF>, which spell what a vocabulary has no token for ("byte fallback").
class ByteTokens {
 public:
  explicit ByteTokens(const Vocabulary& vocabulary);
  /// Appends the tokens of all bytes of `text`; false, and nothing, if one of them is missing.
  [[nodiscard]] bool append(std::string_view text, std::vector<std::int32_t>& out) const;

 private:
  static constexpr std::int32_t kMissing = -1;
  std::array<std::int32_t, 256> ids_{};
};

}  // namespace krait
