#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/tensor.h"

namespace krait {

/// Where the checkpoint keeps one matrix `[out_features, in]` of a linear weight, and in what form.
struct MatrixSource {
  std::string weight;  ///< tensor name
  std::string bias{};  ///< tensor name; empty: none
  std::int64_t out_features = 0;
  /// Above 0: the tensor is a stack `[stack_count, …]` of such matrices (and of biases), and this is number
  /// `stack_index`.
  std::int64_t stack_count = 0;
  std::int64_t stack_index = 0;
  /// Stored as `[in, out]`.
  bool transposed = false;
  /// Output i is stored row rows[i] of `stored_rows`; empty: as stored. Interleaved heads are put in order with it.
  std::vector<std::int32_t> rows{};
  std::int64_t stored_rows = 0;
  /// Above 0: the tensor has that many inputs, of which this matrix has those from `first_input` on.
  std::int64_t stored_inputs = 0;
  std::int64_t first_input = 0;
  /// Above 0: the tensor is a convolution's, `[out, in, taps]`, and this matrix is its tap `tap`.
  std::int64_t taps = 0;
  std::int64_t tap = 0;

  /// Outputs as stored.
  [[nodiscard]] std::int64_t stored_out() const { return rows.empty() ? out_features : stored_rows; }
  /// Inputs as stored, of a matrix with `in_features`.
  [[nodiscard]] std::int64_t stored_in(std::int64_t in_features) const {
    return stored_inputs > 0 ? stored_inputs : in_features;
  }
  [[nodiscard]] Shape weight_shape(std::int64_t in_features) const;
  [[nodiscard]] Shape bias_shape() const;
};

/// The matrix `[out_features, in]` of a tensor that `source` describes: a view into `stored` where its rows lie in
/// order, else a copy, which goes to `copies`.
TensorView matrix_view(const MatrixSource& source, const TensorView& stored, std::int64_t in_features,
                       std::vector<std::vector<std::byte>>& copies);
/// The same for its bias `[out_features]`.
TensorView bias_view(const MatrixSource& source, const TensorView& stored, std::vector<std::vector<std::byte>>& copies);

}  // namespace krait
