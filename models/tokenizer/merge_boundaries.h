#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace krait {

/// Between which characters a merge can take place. A merge of two tokens joins the last character of one to the first
/// of the other; where no merge in the table does that for two characters, a text can be cut between them and its parts
/// tokenized one by one, with the same tokens. This is what keeps words apart in a vocabulary without a pre-tokenizer:
/// no token of SentencePiece goes on behind a letter with "▁". Approximate on the safe side: a pair that no merge joins
/// may be said to be joined.
class MergeBoundaries {
 public:
  void add(char32_t left, char32_t right) { bits_[slot_of(left, right) / 64] |= bit_of(left, right); }
  [[nodiscard]] bool may_merge(char32_t left, char32_t right) const {
    return (bits_[slot_of(left, right) / 64] & bit_of(left, right)) != 0;
  }

 private:
  static constexpr int kLogBits = 18;  ///< 32 KiB: some ten thousand pairs of characters leave most bits free
  static std::size_t slot_of(char32_t left, char32_t right) {
    const std::uint64_t pair = (std::uint64_t{left} << 32) | right;
    return static_cast<std::size_t>((pair * 0x9E3779B97F4A7C15ULL) >> (64 - kLogBits));
  }
  static std::uint64_t bit_of(char32_t left, char32_t right) { return std::uint64_t{1} << (slot_of(left, right) % 64); }

  std::vector<std::uint64_t> bits_ = std::vector<std::uint64_t>((std::size_t{1} << kLogBits) / 64);
};

}  // namespace krait
