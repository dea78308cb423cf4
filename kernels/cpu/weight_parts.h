#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/kernel_args.h"
#include "kernels/packed_weight.h"

/// What a weight is packed from: the rank's share of each part, and where the columns of the panels come from.
namespace krait::cpu {

/// Throws StartupError: "Cannot pack a weight: …".
[[noreturn]] void refuse_weight(const std::string& message);

/// One element of a float32, bfloat16 or float16 matrix.
float weight_element(const TensorView& view, Index row, Index column);

/// One part after sharding: rows and columns of the checkpoint's matrix.
struct Part {
  TensorView view;
  const QuantizedPart* quantized = nullptr;  ///< then `view` is its shape alone
  const TensorView* bias = nullptr;
  Index row_begin = 0;
  Index rows = 0;
  Index column_begin = 0;
  Index columns = 0;

  /// `columns` elements of one row: as they are, or as floats.
  [[nodiscard]] const std::byte* row_bytes(Index row) const;
  void read_row(Index row, float* to) const;
  [[nodiscard]] float bias_at(Index row) const {
    return bias == nullptr ? 0.0F : weight_element(*bias, 0, row_begin + row);
  }
};

/// The biases as rows `[1, out_features]`, an undefined one for a part without; empty where there is none, or where
/// another rank adds it.
std::vector<TensorView> bias_rows(const WeightSource& source, const Shard& shard);
/// The parts refer to `source` and `biases`.
std::vector<Part> shard_parts(const WeightSource& source, const Shard& shard, const std::vector<TensorView>& biases);

/// Where each panel's columns come from: `column(i)` is the part and row of panel column i, or none for padding.
class ColumnMap {
 public:
  ColumnMap(const std::vector<Part>& parts, bool gate_up);
  [[nodiscard]] Index total() const { return total_; }
  [[nodiscard]] Index panels() const;
  [[nodiscard]] std::pair<const Part*, Index> column(Index index) const;

 private:
  const std::vector<Part>& parts_;
  bool gate_up_;
  Index total_ = 0;
};

}  // namespace krait::cpu
