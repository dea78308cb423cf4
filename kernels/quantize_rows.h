#pragma once

#include <cstdint>
#include <vector>

#include "kernels/packed_weight.h"

namespace krait {

class ThreadPool;

/// A matrix `[rows, columns]` rounded as `Platform::pack` rounds weights (Quantization), in the form of QuantizedPart.
struct QuantizedRows {
  std::vector<std::int8_t> values;  ///< [rows, columns]: -127 … 127 of int8, 0 … 15 of int4 (8 is zero)
  std::vector<float> scales;        ///< [rows, groups]
};

/// `matrix` is float32, bfloat16 or float16; `group_size` a multiple of 32. Throws StartupError for another.
QuantizedRows quantize_rows(const TensorView& matrix, Quantization form, int group_size, ThreadPool& pool);

}  // namespace krait
