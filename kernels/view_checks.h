#pragma once

#include <cstdint>
#include <string>

#include "kernels/result.h"
#include "kernels/tensor.h"

/// Shapes are the layers' promise to an operation; breaking one is a bug and named as such.
namespace krait {

inline void require(bool condition, const char* what) {
  if (!condition) KRAIT_BUG(std::string("operation called with wrong arguments: ") + what);
}

/// A float32 matrix of at least `rows` rows and exactly `columns` columns.
inline void require_matrix(const TensorView& view, std::int64_t rows, std::int64_t columns, const char* what) {
  const bool fits = view.dtype == DType::kFloat32 && view.rows() >= rows && (rows == 0 || view.columns() == columns);
  if (fits) return;
  KRAIT_BUG(std::string("operation called with wrong ") + what + ": " + std::string(dtype_name(view.dtype)) + " " +
            view.shape.to_string() + ", expected float32 [" + std::to_string(rows) + ", " + std::to_string(columns) +
            "]");
}

/// A float32 vector of `n`, or null for an undefined one.
inline const float* vector_or_null(const TensorView& view, std::int64_t n, const char* what) {
  if (view.data == nullptr) return nullptr;
  require(view.dtype == DType::kFloat32 && view.shape.elements() == n, what);
  return view.as<const float>();
}

/// The types that embedding tables and unquantised weights are kept in.
inline bool is_kernel_float(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kBFloat16 || dtype == DType::kFloat16;
}

}  // namespace krait
