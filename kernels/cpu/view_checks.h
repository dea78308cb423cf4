#pragma once

#include <string>

#include "kernels/cpu/kernel_args.h"
#include "kernels/result.h"

/// From tensors to the kernels' plain arguments. Shapes are the layers' promise; breaking one is a bug and named as
/// such.
namespace krait::cpu {

inline void require(bool condition, const char* what) {
  if (!condition) KRAIT_BUG(std::string("operation called with wrong arguments: ") + what);
}

/// A float32 matrix of at least `rows` rows and exactly `columns` columns.
inline Rows matrix(const TensorView& view, Index rows, Index columns, const char* what) {
  const bool fits = view.dtype == DType::kFloat32 && view.rows() >= rows && (rows == 0 || view.columns() == columns);
  if (!fits) {
    KRAIT_BUG(std::string("operation called with wrong ") + what + ": " + std::string(dtype_name(view.dtype)) + " " +
              view.shape.to_string() + ", expected float32 [" + std::to_string(rows) + ", " + std::to_string(columns) +
              "]");
  }
  return Rows{.data = view.as<float>(), .stride = view.row_stride};
}
inline ConstRows const_matrix(const TensorView& view, Index rows, Index columns, const char* what) {
  const Rows rows_view = matrix(view, rows, columns, what);
  return ConstRows{.data = rows_view.data, .stride = rows_view.stride};
}

/// A float32 vector of `n`, or null for an undefined one.
inline const float* vector_or_null(const TensorView& view, Index n, const char* what) {
  if (view.data == nullptr) return nullptr;
  require(view.dtype == DType::kFloat32 && view.shape.elements() == n, what);
  return view.as<const float>();
}

inline bool is_kernel_float(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kBFloat16 || dtype == DType::kFloat16;
}

}  // namespace krait::cpu
