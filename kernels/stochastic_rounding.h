#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "kernels/philox.h"

/// Always inlined, because kernels of several instruction sets use them, and constexpr, because a device's do.
namespace krait {

/// How elements of a recurrent state become float16. With `philox_rounds` above 0 stochastically: up or down with the
/// probabilities that make the mean exact. The random bits of an element are a function of the seed, of the token's
/// absolute position, of the layer and of the element's place in it, so neither the other requests of a batch, nor
/// where a prompt was cut, nor whose snapshot it goes on from changes a bit.
struct StateRounding {
  int philox_rounds = 0;  ///< 0: to the nearest
  std::uint64_t seed = 0;
  std::uint32_t layer = 0;
};

/// Elements of a state row that share one call of the generator: 16 bits each.
inline constexpr int kRoundedTogether = 8;

/// The words for the elements 8 `block` to 8 `block` + 7 of row `row` of a layer's state after the token at `position`.
[[gnu::always_inline]] constexpr std::array<std::uint32_t, 4> rounding_words(const StateRounding& how,
                                                                             std::uint32_t position, std::uint32_t row,
                                                                             std::uint32_t block) {
  return philox4x32({position, how.layer, row, block},
                    {static_cast<std::uint32_t>(how.seed), static_cast<std::uint32_t>(how.seed >> 32)},
                    how.philox_rounds);
}

/// The 13 bits of element `element` (of 8).
[[gnu::always_inline]] constexpr std::uint32_t rounding_bits(const std::array<std::uint32_t, 4>& words, int element) {
  return (words[static_cast<unsigned>(element) / 2] >> (element % 2 * 16)) & 0x1FFFU;
}

/// `x` as a float16 value, from 13 random bits: they are added below the last bit that a float16 keeps, and what is
/// then below it is cut off. A normal float16 has 13 bits of a float32's fraction below its last; the subnormal ones
/// have as many once 2^-14 is added, which is taken off again. From 65504 on, and for what is no number, to the
/// nearest: `x` is returned as it is.
[[gnu::always_inline]] constexpr float round_stochastically(float x, std::uint32_t bits) {
  constexpr float kSmallestNormal = 0x1p-14F;
  constexpr float kLargest = 65504.0F;
  constexpr std::uint32_t kSign = 0x80000000U;
  const auto raw = std::bit_cast<std::uint32_t>(x);
  const auto magnitude = std::bit_cast<float>(raw & ~kSign);
  const float lift = magnitude < kSmallestNormal ? kSmallestNormal : 0.0F;
  const std::uint32_t sum = (std::bit_cast<std::uint32_t>(magnitude + lift) + bits) & ~0x1FFFU;
  const float rounded = std::bit_cast<float>(sum) - lift;
  return magnitude < kLargest ? std::bit_cast<float>(std::bit_cast<std::uint32_t>(rounded) | (raw & kSign)) : x;
}

}  // namespace krait
