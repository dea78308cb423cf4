#pragma once

#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/split_products.cuh"

/// Split operands (kernels/cuda/split_products.cuh) in shared memory, for the products of a chunked scan. One bfloat16
/// alone would leave 2^-8 of a term, a hundred times what prefill and decode may differ by.
namespace krait::cuda {

/// Two neighbours along k, packed as an operand of ptx::mma_m16n8k16.
struct SplitPair {
  std::uint32_t high = 0;
  std::uint32_t low = 0;
};

__device__ __forceinline__ SplitPair split(float first, float second) {
  SplitPair pair;
  split_pair(first, second, pair.high, pair.low);
  return pair;
}

/// Values along k that are staged together.
constexpr int kSlab = 64;

/// Up to kRows rows of kSlab values in shared memory. The pitch puts the 32 words of a fragment in as many banks.
template <int kRows>
struct SplitSlab {
  static constexpr int kPitch = kSlab / 2 + 4;
  std::uint32_t high[kRows * kPitch];
  std::uint32_t low[kRows * kPitch];

  __device__ __forceinline__ void set(int row, int pair, const SplitPair& value) {
    high[row * kPitch + pair] = value.high;
    low[row * kPitch + pair] = value.low;
  }
};

/// Fills a slab: at(row, k) is its value, asked for by neighbouring threads at neighbouring k. All threads of the block
/// must call it, with barriers around.
template <int kRows, int kThreads, typename At>
__device__ __forceinline__ void stage_rows(SplitSlab<kRows>& slab, At at) {
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kSlab / 2; i += kThreads) {
    const int row = i / (kSlab / 2);
    const int pair = i % (kSlab / 2);
    slab.set(row, pair, split(at(row, 2 * pair), at(row, 2 * pair + 1)));
  }
}

/// The same of a matrix whose rows in memory are k: eight neighbouring threads ask for neighbouring rows.
template <int kRows, int kThreads, typename At>
__device__ __forceinline__ void stage_columns(SplitSlab<kRows>& slab, At at) {
  static_assert(kRows % 8 == 0);
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kSlab / 2; i += kThreads) {
    const int lane = i % kWarp;
    const int tile = i / kWarp;
    const int row = tile % (kRows / 8) * 8 + lane % 8;
    const int pair = tile / (kRows / 8) * 4 + lane / 8;
    slab.set(row, pair, split(at(row, 2 * pair), at(row, 2 * pair + 1)));
  }
}

/// A lane's part of 16 rows and 16 values along k.
struct SplitRows {
  std::uint32_t high[4];
  std::uint32_t low[4];

  /// at(row, k) for rows 0 to 15, k 0 to 15.
  template <typename At>
  __device__ __forceinline__ void fill(int lane, At at) {
    UNROLL for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + 8 * (i & 1);
      const int k = 2 * (lane % 4) + 8 * (i >> 1);
      const SplitPair pair = split(at(row, k), at(row, k + 1));
      high[i] = pair.high;
      low[i] = pair.low;
    }
  }
  /// Rows from `first` on, step `step` of 16 along k.
  template <int kRows>
  __device__ __forceinline__ void load(const SplitSlab<kRows>& slab, int lane, int first, int step) {
    UNROLL for (int i = 0; i < 4; ++i) {
      const int row = first + lane / 4 + 8 * (i & 1);
      const int at = row * SplitSlab<kRows>::kPitch + step * 8 + lane % 4 + 4 * (i >> 1);
      high[i] = slab.high[at];
      low[i] = slab.low[at];
    }
  }
};

/// sums [16, 8] += rows * columns^T, with the columns of the product the slab's rows from `first` on.
template <int kRows>
__device__ __forceinline__ void split_product(float (&sums)[4], const SplitRows& rows, const SplitSlab<kRows>& slab,
                                              int lane, int first, int step) {
  const int at = (first + lane / 4) * SplitSlab<kRows>::kPitch + step * 8 + lane % 4;
  const std::uint32_t high[2] = {slab.high[at], slab.high[at + 4]};
  const std::uint32_t low[2] = {slab.low[at], slab.low[at + 4]};
  ptx::mma_m16n8k16(sums, rows.low, high);
  ptx::mma_m16n8k16(sums, rows.high, low);
  ptx::mma_m16n8k16(sums, rows.high, high);
}

/// Row and column of a lane's sum `i` in its [16, 8] tile.
__device__ __forceinline__ int sum_row(int lane, int i) { return lane / 4 + 8 * (i >> 1); }
__device__ __forceinline__ int sum_column(int lane, int i) { return 2 * (lane % 4) + (i & 1); }

}  // namespace krait::cuda
