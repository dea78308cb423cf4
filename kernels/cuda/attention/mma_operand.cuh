#pragma once

#include "kernels/cuda/port.cuh"

/// The 16-bit type in which the tensor cores take what a cache keeps as T.
namespace krait::cuda {

template <typename T>
struct MmaOperand;

template <>
struct MmaOperand<bfloat16> {
  using Type = bfloat16;
  static __device__ __forceinline__ std::uint32_t pack(float low, float high) { return ptx::pack_bfloat16(low, high); }
  /// What rounding (low, high) to `packed` left.
  static __device__ __forceinline__ std::uint32_t pack_rest(float low, float high, std::uint32_t packed) {
    return pack(low - __uint_as_float(packed << 16), high - __uint_as_float(packed & 0xffff0000U));
  }
  static __device__ __forceinline__ void multiply(float (&d)[4], const std::uint32_t (&a)[4],
                                                  const std::uint32_t (&b)[2]) {
    ptx::mma_m16n8k16(d, a, b);
  }
};

/// Integers up to 127 are exact in bfloat16.
template <>
struct MmaOperand<signed char> : MmaOperand<bfloat16> {};

template <>
struct MmaOperand<float16> {
  using Type = float16;
  static __device__ __forceinline__ std::uint32_t pack(float low, float high) { return ptx::pack_float16(low, high); }
  static __device__ __forceinline__ std::uint32_t pack_rest(float low, float high, std::uint32_t /*packed*/) {
    return pack(low - to_float(from_float<float16>(low)), high - to_float(from_float<float16>(high)));
  }
  static __device__ __forceinline__ void multiply(float (&d)[4], const std::uint32_t (&a)[4],
                                                  const std::uint32_t (&b)[2]) {
    ptx::mma_m16n8k16_float16(d, a, b);
  }
};

}  // namespace krait::cuda
