#pragma once

#include <cstdint>
#include <vector>

#include "kernels/packed_weight.h"

namespace krait {

/// A matrix `[rows, columns]` as a checkpoint has quantised it: element (r, c) is (value - zero) * scale of its row's
/// group, where values of 8 bits count from 0 too.
struct QuantizedMatrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  int bits = 8;                          ///< 4 or 8
  std::int64_t group = 0;                ///< inputs that share a scale
  ReadQuantizedRows read_rows{};         ///< of 8 bits the values less 128; reads the checkpoint's mapping
  std::vector<float> scales{};           ///< [rows, groups]
  std::vector<std::uint16_t> zeros{};    ///< [rows, groups]; empty: 8 or 128
  std::vector<std::int32_t> group_of{};  ///< the group of each input; empty: input / group

  [[nodiscard]] std::int64_t groups() const { return (columns + group - 1) / group; }
};

/// Whether platforms can keep it as it is (QuantizedPart): groups of a multiple of 32 inputs in order, or one; 8 bits
/// without zero points.
bool can_stay_quantized(const QuantizedMatrix& matrix);

/// Its values as `[rows, columns]` in float32: one rounding of an exact product, none of scales in 16 bits.
void dequantize(const QuantizedMatrix& matrix, float* target);

/// A matrix that can stay quantised, in the form that platforms take. `part` points into it.
struct PackableMatrix {
  std::vector<float> scales{};
  std::vector<std::uint8_t> zeros{};
  QuantizedPart part{};
  Quantization form = Quantization::kInt8;
  int group_size = 0;  ///< a multiple of 32
};
/// Output i is row rows[i] of `matrix`; empty: as they are.
PackableMatrix make_packable(const QuantizedMatrix& matrix, const std::vector<std::int32_t>& rows);

}  // namespace krait
