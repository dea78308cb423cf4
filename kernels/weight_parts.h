#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/packed_weight.h"

/// What a weight is packed from: the rank's share of each part.
namespace krait {

/// Throws StartupError: "Cannot pack a weight: …".
[[noreturn]] void refuse_weight(const std::string& message);

/// One element of a float32, bfloat16 or float16 matrix.
float weight_element(const TensorView& view, std::int64_t row, std::int64_t column);

/// Refuses groups that are no multiples of 32 inputs, or that an input shard with `columns` of them cuts.
void check_groups(int group_size, std::int64_t columns, const Shard& shard);

/// A power of two in whose units float16 holds the scales of a row well; NaN where one of them is no number.
float scale_unit(const float* scales, std::int64_t groups);

/// One part after sharding: rows and columns of the checkpoint's matrix.
struct WeightPart {
  TensorView view;
  const QuantizedPart* quantized = nullptr;  ///< then `view` is its shape alone
  const TensorView* bias = nullptr;
  std::int64_t row_begin = 0;
  std::int64_t rows = 0;
  std::int64_t column_begin = 0;
  std::int64_t columns = 0;

  /// `columns` elements of one row: as they are, or as floats.
  [[nodiscard]] const std::byte* row_bytes(std::int64_t row) const;
  void read_row(std::int64_t row, float* to) const;
  [[nodiscard]] float bias_at(std::int64_t row) const {
    return bias == nullptr ? 0.0F : weight_element(*bias, 0, row_begin + row);
  }
};

/// The biases as rows `[1, out_features]`, an undefined one for a part without; empty where there is none, or where
/// another rank adds it.
std::vector<TensorView> bias_rows(const WeightSource& source, const Shard& shard);
/// The parts refer to `source` and `biases`.
std::vector<WeightPart> shard_parts(const WeightSource& source, const Shard& shard,
                                    const std::vector<TensorView>& biases);

}  // namespace krait
