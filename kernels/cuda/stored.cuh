#pragma once

#include "kernels/cuda/port.cuh"
#include "kernels/dtype.h"

/// Elements of states, whose type is known when a kernel runs: a branch that all threads take alike.
namespace krait::cuda {

__device__ __forceinline__ float load_stored(const std::byte* data, DType dtype, std::int64_t index) {
  if (dtype == DType::kBFloat16) return to_float(reinterpret_cast<const bfloat16*>(data)[index]);
  if (dtype == DType::kFloat16) return to_float(reinterpret_cast<const float16*>(data)[index]);
  return reinterpret_cast<const float*>(data)[index];
}

__device__ __forceinline__ void store_stored(std::byte* data, DType dtype, std::int64_t index, float value) {
  if (dtype == DType::kBFloat16) {
    reinterpret_cast<bfloat16*>(data)[index] = from_float<bfloat16>(value);
  } else if (dtype == DType::kFloat16) {
    reinterpret_cast<float16*>(data)[index] = from_float<float16>(value);
  } else {
    reinterpret_cast<float*>(data)[index] = value;
  }
}

/// `value` as memory of this type holds it.
__device__ __forceinline__ float round_stored(DType dtype, float value) {
  if (dtype == DType::kBFloat16) return to_float(from_float<bfloat16>(value));
  if (dtype == DType::kFloat16) return to_float(from_float<float16>(value));
  return value;
}

}  // namespace krait::cuda
