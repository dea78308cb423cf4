#pragma once

#include "kernels/tensor.h"

namespace krait {

/// float32, bfloat16 and float16: the types that weights are read in.
bool is_float_weight(DType dtype);

/// Writes a contiguous tensor of such a type as float32; every value of the three is exact in float32.
void convert_to_float32(const TensorView& source, float* target);

/// The same for a matrix `[rows, columns]`, written as `[columns, rows]`.
void convert_to_float32_transposed(const TensorView& source, float* target);

}  // namespace krait
