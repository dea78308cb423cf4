#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

/// The 16-bit floats and the vectors of CUDA, as far as kernels use them: storage, and conversion from and to float.
/// Kernels compute in float, so there is no arithmetic here.

struct __nv_bfloat16 {
  std::uint16_t bits = 0;
};
struct __half {
  std::uint16_t bits = 0;
};

namespace krait::cuda::emulation {
float float16_value(std::uint16_t bits);
std::uint16_t float16_bits(float value);
}  // namespace krait::cuda::emulation

inline float __bfloat162float(__nv_bfloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}
__nv_bfloat16 __float2bfloat16_rn(float value);
inline float __half2float(__half value) { return krait::cuda::emulation::float16_value(value.bits); }
inline __half __float2half_rn(float value) { return {krait::cuda::emulation::float16_bits(value)}; }

// Aligned as on the device: the undefined behaviour sanitizer names a misaligned vector access.
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
