#pragma once

#include <array>
#include <cstddef>
#include <cstring>

#include "kernels/cpu/kernel_args.h"

namespace krait::cpu {

/// Where the columns of one panel lie as rows of their own.
using PanelRows = std::array<const std::byte*, kLanes>;

/// out[i][lane] = word i of row `lane`, for `count` words. The rows need not be aligned.
template <typename Word>
void interleave(const PanelRows& rows, Index count, std::byte* out) {
  // So many words of each row are whole cache lines of the output, and the rows' lines stay near.
  constexpr Index kBlock = 16;
  const auto move = [&](Index begin, Index end) {
    for (Index lane = 0; lane < kLanes; ++lane) {
      const std::byte* from = rows[static_cast<std::size_t>(lane)];
      std::byte* to = out + lane * Index{sizeof(Word)};
      for (Index i = begin; i < end; ++i) {
        std::memcpy(to + i * kLanes * Index{sizeof(Word)}, from + i * Index{sizeof(Word)}, sizeof(Word));
      }
    }
  };
  Index first = 0;
  for (; first + kBlock <= count; first += kBlock) move(first, first + kBlock);
  move(first, count);
}

}  // namespace krait::cpu
