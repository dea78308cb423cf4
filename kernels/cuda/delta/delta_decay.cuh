#pragma once

#include "kernels/cuda/activation.cuh"
#include "kernels/operations/scan_args.h"

namespace krait::cuda {

/// The log decay of u, a raw input with its bias.
__device__ __forceinline__ float log_decay(DeltaDecay kind, float a, float lower_bound, float u) {
  return kind == DeltaDecay::kSoftplus ? a * softplus(u) : lower_bound * sigmoid(a * u);
}

}  // namespace krait::cuda
