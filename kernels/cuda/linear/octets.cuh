#pragma once

#include "kernels/cuda/linear/weight_view.h"
#include "kernels/cuda/port.cuh"

/// Octets (eight neighbouring inputs) of rows and weights, as the products take them from device memory.
namespace krait::cuda {

constexpr int kOctet = 8;
constexpr int kBlockOctets = kScaleBlock / kOctet;

/// Blocks of 32 inputs of a row that four lanes load at once, 16 bytes each at a time.
template <WeightForm Form>
constexpr int kStepBlocks = Form == WeightForm::kInt4 ? 4 : 2;

constexpr bool is_quantized(WeightForm form) { return form == WeightForm::kInt8 || form == WeightForm::kInt4; }

__device__ __forceinline__ bool aligned16(const void* data) { return reinterpret_cast<std::uintptr_t>(data) % 16 == 0; }

/// Eight floats of a row with `count` left, zeros after them; `fast`: the row and these are whole and aligned.
__device__ __forceinline__ void load_octet(const float* from, int count, bool fast, float (&x)[kOctet]) {
  if (fast) {
    const float4 low = *reinterpret_cast<const float4*>(from);
    const float4 high = *reinterpret_cast<const float4*>(from + 4);
    x[0] = low.x, x[1] = low.y, x[2] = low.z, x[3] = low.w;
    x[4] = high.x, x[5] = high.y, x[6] = high.z, x[7] = high.w;
    return;
  }
  UNROLL for (int i = 0; i < kOctet; ++i) x[i] = i < count ? from[i] : 0.0F;
}

/// Four pairs of bfloat16, the first of each in the lower half.
__device__ __forceinline__ void load_octet(const bfloat16* from, int count, bool fast, std::uint32_t (&pairs)[4]) {
  if (fast) {
    const uint4 all = *reinterpret_cast<const uint4*>(from);
    pairs[0] = all.x, pairs[1] = all.y, pairs[2] = all.z, pairs[3] = all.w;
    return;
  }
  const auto* bits = reinterpret_cast<const std::uint16_t*>(from);
  UNROLL for (int i = 0; i < 4; ++i) {
    const std::uint32_t low = 2 * i < count ? bits[2 * i] : 0;
    const std::uint32_t high = 2 * i + 1 < count ? bits[2 * i + 1] : 0;
    pairs[i] = low | high << 16;
  }
}

/// Eight int8 as pairs of bfloat16, which have each of them exactly.
__device__ __forceinline__ void int8_pairs(std::uint32_t low, std::uint32_t high, std::uint32_t (&pairs)[4]) {
  // The byte q + 128 below the exponent of 2^23 is the float 2^23 + q + 128.
  constexpr std::uint32_t kExponent = 0x4b000000U;
  constexpr float kOffset = 8388608.0F + 128.0F;
  UNROLL for (int i = 0; i < 4; ++i) {
    const std::uint32_t bytes = (i < 2 ? low : high) ^ 0x80808080U;
    const std::uint32_t first = i % 2 == 0 ? 0x7540U : 0x7542U;
    const float even = __uint_as_float(__byte_perm(bytes, kExponent, first)) - kOffset;
    const float odd = __uint_as_float(__byte_perm(bytes, kExponent, first + 1)) - kOffset;
    pairs[i] = __byte_perm(__float_as_uint(even), __float_as_uint(odd), 0x7632U);
  }
}

/// A bfloat16 pair of 128 + zero twice: what int4_pairs subtracts.
__device__ __forceinline__ std::uint32_t int4_offset(std::uint32_t zero) {
  const std::uint32_t half = 0x4300U + zero;
  return half | half << 16;
}
/// Eight int4 less their zero point as pairs of bfloat16, exact too. q below the exponent of 2^7 is 128 + q.
__device__ __forceinline__ void int4_pairs(std::uint32_t word, std::uint32_t offset, std::uint32_t (&pairs)[4]) {
  UNROLL for (int i = 0; i < 4; ++i) {
    pairs[i] = ptx::subtract_bfloat16x2((word >> 4 * i & 0x000f000fU) | 0x43004300U, offset);
  }
}

/// One row of a weight.
struct WeightRow {
  const unsigned char* values = nullptr;
  const float16* scales = nullptr;
  const std::uint8_t* zeros = nullptr;
};
template <WeightForm Form>
__device__ __forceinline__ WeightRow weight_row(const WeightShape& shape, const WeightView& weight, int row) {
  WeightRow to{.values = static_cast<const unsigned char*>(weight.values) + row * shape.row_bytes};
  if constexpr (is_quantized(Form)) {
    const std::int64_t first = static_cast<std::int64_t>(row) * shape.groups;
    to.scales = reinterpret_cast<const float16*>(weight.scales) + first;
    if (weight.zeros != nullptr) to.zeros = weight.zeros + first;
  }
  return to;
}

/// Zero point of a group of int4.
__device__ __forceinline__ std::uint32_t zero_point(const WeightRow& row, int group) {
  return row.zeros == nullptr ? 8U : row.zeros[group];
}

/// Octet `octet` of a row as floats: its values before the scale.
template <WeightForm Form>
__device__ __forceinline__ void weight_octet(const WeightRow& row, int octet, int group, int columns,
                                             float (&w)[kOctet]) {
  const int count = columns - octet * kOctet;
  if constexpr (Form == WeightForm::kFloat32) {
    const float* from = reinterpret_cast<const float*>(row.values) + octet * kOctet;
    load_octet(from, count, columns % 4 == 0 && count >= kOctet, w);
  } else if constexpr (Form == WeightForm::kBFloat16) {
    const bfloat16* from = reinterpret_cast<const bfloat16*>(row.values) + octet * kOctet;
    std::uint32_t pairs[4];
    load_octet(from, count, columns % kOctet == 0, pairs);
    UNROLL for (int i = 0; i < kOctet; ++i) {
      w[i] = __uint_as_float(i % 2 == 0 ? pairs[i / 2] << 16 : pairs[i / 2] & 0xffff0000U);
    }
  } else if constexpr (Form == WeightForm::kInt8) {
    const int place = (octet & ~7) | (octet & 3) << 1 | (octet >> 2 & 1);
    const uint2 bytes = *reinterpret_cast<const uint2*>(row.values + static_cast<std::int64_t>(place) * kOctet);
    UNROLL for (int i = 0; i < kOctet; ++i) {
      const std::uint32_t word = i < 4 ? bytes.x : bytes.y;
      w[i] = static_cast<float>(static_cast<std::int8_t>(word >> 8 * (i % 4) & 0xffU));
    }
  } else {
    const int place = (octet & ~15) | (octet & 3) << 2 | (octet >> 2 & 3);
    const std::uint32_t word =
        *reinterpret_cast<const std::uint32_t*>(row.values + static_cast<std::int64_t>(place) * 4);
    const float zero = static_cast<float>(zero_point(row, group));
    UNROLL for (int i = 0; i < kOctet; ++i) {
      w[i] = static_cast<float>(word >> (4 * (i / 2) + 16 * (i % 2)) & 15U) - zero;
    }
  }
}

}  // namespace krait::cuda
