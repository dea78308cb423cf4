#pragma once

#include <array>
#include <cstdint>

namespace krait {

/// Philox4x32 (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3"): a counter-based generator, so that
/// a draw is a function of its key and counter and of nothing before it. Ten rounds pass BigCrush. Always inlined:
/// kernels of several instruction sets use it.
[[gnu::always_inline]] constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                                         std::array<std::uint32_t, 2> key,
                                                                         int rounds = 10) {
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53U} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57U} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(product0)};
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return counter;
}

/// Uniform in [0, 1) with `seed` as key and `position` as counter: 53 random bits.
inline double uniform_draw(std::uint64_t seed, std::uint64_t position) {
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  const auto random = philox4x32({low(position), high(position), 0, 0}, {low(seed), high(seed)});
  const std::uint64_t bits = (std::uint64_t{random[0]} << 21) ^ (random[1] >> 11);
  return static_cast<double>(bits & ((std::uint64_t{1} << 53) - 1)) * 0x1p-53;
}

}  // namespace krait
