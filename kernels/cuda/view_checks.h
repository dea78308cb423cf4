#pragma once

#include "kernels/cuda/rows.h"
#include "kernels/view_checks.h"

/// From tensors to the kernels' plain arguments.
namespace krait::cuda {

/// A float32 matrix of at least `rows` rows and exactly `columns` columns.
inline Rows matrix(const TensorView& view, std::int64_t rows, std::int64_t columns, const char* what) {
  require_matrix(view, rows, columns, what);
  return Rows{.data = view.as<float>(), .stride = view.row_stride};
}
inline ConstRows const_matrix(const TensorView& view, std::int64_t rows, std::int64_t columns, const char* what) {
  require_matrix(view, rows, columns, what);
  return ConstRows{.data = view.as<const float>(), .stride = view.row_stride};
}

}  // namespace krait::cuda
