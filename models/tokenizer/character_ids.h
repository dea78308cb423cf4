#pragma once

#include <cstdint>
#include <vector>

#include "models/tokenizer/vocabulary.h"

namespace krait {

/// The tokens that are one character, by code point: the first step of BPE asks for every character of a piece.
class CharacterIds {
 public:
  static constexpr std::int32_t kNone = -1;

  explicit CharacterIds(const Vocabulary& vocabulary);
  [[nodiscard]] std::int32_t find(char32_t character) const {
    return character < ids_.size() ? ids_[character] : kNone;
  }

 private:
  std::vector<std::int32_t> ids_;
};

}  // namespace krait
