#pragma once

#include "kernels/cuda/port.cuh"
#include "kernels/operations/activation.h"

namespace krait::cuda {

__device__ __forceinline__ float sigmoid(float x) { return 1.0F / (1.0F + expf(-x)); }
__device__ __forceinline__ float silu(float x) { return x / (1.0F + expf(-x)); }
/// log(1 + exp(x)), without overflow.
__device__ __forceinline__ float softplus(float x) { return x > 20.0F ? x : log1pf(expf(x)); }

/// The functions of one number (kernels/operations/activation.h).
__device__ __forceinline__ float activate(Activation activation, float x) {
  switch (activation) {
    case Activation::kSilu:
      return silu(x);
    case Activation::kSigmoid:
      return sigmoid(x);
    case Activation::kGelu:
      return 0.5F * x * (1.0F + erff(x * 0.70710678118654752F));
    case Activation::kGeluTanh:
      return 0.5F * x * (1.0F + tanhf(0.79788456080286536F * (x + 0.044715F * x * x * x)));
    case Activation::kRelu2: {
      const float positive = x < 0.0F ? 0.0F : x;  // a NaN stays one
      return positive * positive;
    }
    case Activation::kTanh:
      return tanhf(x);
    default:
      return x;
  }
}

/// act(gate) * up, or gpt-oss's clamped form; a NaN passes.
__device__ __forceinline__ float activate_gated(Activation activation, float gate, float up, float limit) {
  if (activation != Activation::kSwigluClamp) return activate(activation, gate) * up;
  const float g = gate > limit ? limit : gate;
  const float high = up > limit ? limit : up;
  const float bounded = high < -limit ? -limit : high;
  return g * sigmoid(1.702F * g) * (bounded + 1.0F);
}

}  // namespace krait::cuda
