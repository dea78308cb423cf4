#pragma once

#include "kernels/cuda/reduce.cuh"

namespace krait::cuda {

/// The sums of N values (a power of two, at most 32) over the lanes of a warp: lane l gets that of values[l / (32 /
/// N)]. Each step halves what a lane holds, so that N sums take about N + log2(32 / N) shuffles and not 5 N. All lanes
/// must call it; `values` is lost.
template <int N>
__device__ __forceinline__ float warp_sums(float (&values)[N]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  int held = N;
  UNROLL for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    if (held == 1) {
      values[0] += __shfl_xor_sync(kAllLanes, values[0], distance);
      continue;
    }
    held /= 2;
    const bool upper = (lane & distance) != 0;
    UNROLL for (int i = 0; i < N / 2; ++i) {
      if (i >= held) break;
      const float given = upper ? values[i] : values[i + held];
      const float kept = upper ? values[i + held] : values[i];
      values[i] = kept + __shfl_xor_sync(kAllLanes, given, distance);
    }
  }
  return values[0];
}

}  // namespace krait::cuda
