#pragma once

#include "kernels/cpu/kernel_args.h"
#include "kernels/view_checks.h"

/// From tensors to the kernels' plain arguments.
namespace krait::cpu {

/// A float32 matrix of at least `rows` rows and exactly `columns` columns.
inline Rows matrix(const TensorView& view, Index rows, Index columns, const char* what) {
  require_matrix(view, rows, columns, what);
  return Rows{.data = view.as<float>(), .stride = view.row_stride};
}
inline ConstRows const_matrix(const TensorView& view, Index rows, Index columns, const char* what) {
  const Rows rows_view = matrix(view, rows, columns, what);
  return ConstRows{.data = rows_view.data, .stride = rows_view.stride};
}

}  // namespace krait::cpu
