#pragma once

#include "kernels/cuda/port.cuh"

/// Matrix products of float32 accuracy from bfloat16 instructions: x = high + low, each bfloat16, and a b is taken as
/// low high + high low + high high, summed in float32. What is lost is about 2^-16 of a term.
namespace krait::cuda {

__device__ __forceinline__ void split_pair(float a, float b, std::uint32_t& high, std::uint32_t& low) {
  high = ptx::pack_bfloat16(a, b);
  low = ptx::pack_bfloat16(a - __uint_as_float(high << 16), b - __uint_as_float(high & 0xffff0000U));
}

/// A lane's part of a 16 x 16 left operand.
struct SplitLeft {
  std::uint32_t high[4];
  std::uint32_t low[4];
};

/// From two neighbouring 16 x 8 results of a product, which lie in the same lanes as a left operand needs them.
__device__ __forceinline__ SplitLeft split_left(const float (&first)[4], const float (&second)[4]) {
  SplitLeft left;
  split_pair(first[0], first[1], left.high[0], left.low[0]);
  split_pair(first[2], first[3], left.high[1], left.low[1]);
  split_pair(second[0], second[1], left.high[2], left.low[2]);
  split_pair(second[2], second[3], left.high[3], left.low[3]);
  return left;
}

/// A lane's part of a 16 x 8 right operand, [k][n]: lane 4 g + t has column n = g and k = 2t, 2t + 1, 2t + 8, 2t + 9.
/// The two words of high parts, then the two of low ones.
__device__ __forceinline__ uint4 split_right(float k0, float k1, float k8, float k9) {
  uint4 right;
  split_pair(k0, k1, right.x, right.z);
  split_pair(k8, k9, right.y, right.w);
  return right;
}

/// d[first + i] += left * right[i]. Results that follow each other do not wait for each other.
template <int kCount, int kResults>
__device__ __forceinline__ void split_products(float (&d)[kResults][4], int first, const SplitLeft& left,
                                               const uint4 (&right)[kCount]) {
  UNROLL for (int i = 0; i < kCount; ++i) { ptx::mma_m16n8k16(d[first + i], left.low, {right[i].x, right[i].y}); }
  UNROLL for (int i = 0; i < kCount; ++i) { ptx::mma_m16n8k16(d[first + i], left.high, {right[i].z, right[i].w}); }
  UNROLL for (int i = 0; i < kCount; ++i) { ptx::mma_m16n8k16(d[first + i], left.high, {right[i].x, right[i].y}); }
}

}  // namespace krait::cuda
