#pragma once

#include <cstdint>
#include <span>

#include "kernels/tensor.h"

namespace krait {

/// 8-bit floating point, which checkpoints keep with scales beside it. Formats of "FP8 Formats for Deep Learning"
/// (Micikevicius et al., 2022); every value is exact in bfloat16.
bool is_float8(DType dtype);

/// Four bits of exponent (bias 7), three of mantissa, no infinities; 0x7f and 0xff are NaN.
float float8_e4m3_to_float(std::uint8_t bits);
/// Five bits of exponent (bias 15), two of mantissa, with infinities and NaNs: the upper byte of a float16.
float float8_e5m2_to_float(std::uint8_t bits);

/// How the scales of one matrix `[rows, columns]` lie: the scale of element (r, c) is
/// `values[r / row_block * row_stride + c / column_block]`.
struct Float8Scales {
  std::span<const float> values{};  ///< empty: none
  std::int64_t row_block = 1;
  std::int64_t column_block = 1;
  std::int64_t row_stride = 0;
};

/// target[r, c] = source[r, c] * scale, in float32: one rounding, none where the scale is a power of two or has few
/// bits. `source` is a contiguous matrix of 8-bit floats.
void dequantize_float8(const TensorView& source, const Float8Scales& scales, float* target);

}  // namespace krait
