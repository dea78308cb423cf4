#pragma once

#include "kernels/cuda/port.cuh"

/// Sums over warps and blocks in one fixed order, so that a row's bits do not depend on the rest of the launch.
namespace krait::cuda {

constexpr int kWarp = 32;
constexpr std::uint32_t kAllLanes = 0xffffffffU;

/// The sum over the 32 lanes, in every lane. All lanes must call it.
__device__ __forceinline__ float warp_sum(float value) {
  UNROLL for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}

__device__ __forceinline__ float warp_max(float value) {
  UNROLL for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

/// The sum over a block of Threads (a multiple of 32) threads, in every thread. All threads must call it; the block may
/// call it again without a barrier between.
template <int Threads>
__device__ __forceinline__ float block_sum(float value) {
  constexpr int kWarps = Threads / kWarp;
  value = warp_sum(value);
  if constexpr (kWarps == 1) return value;
  SHARED_ARRAY(float, sums, kWarps);
  const int thread = static_cast<int>(threadIdx.x);
  __syncthreads();  // the sums of a call before may still be read
  if (thread % kWarp == 0) sums[thread / kWarp] = value;
  __syncthreads();
  float total = 0.0F;
  UNROLL for (int i = 0; i < kWarps; ++i) total += sums[i];
  return total;
}

}  // namespace krait::cuda
