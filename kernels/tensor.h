#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

#include "kernels/dtype.h"

namespace krait {

/// Up to five dimensions, outermost first.
class Shape {
 public:
  static constexpr int kMaxRank = 5;
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] std::int64_t operator[](int axis) const { return dims_[static_cast<std::size_t>(axis)]; }
  void push_back(std::int64_t dim);
  [[nodiscard]] std::int64_t elements() const;
  /// "[3, 4]", for messages.
  [[nodiscard]] std::string to_string() const;
  bool operator==(const Shape&) const = default;

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

/// Memory on a platform, freed with its last owner. `data` is 64-byte aligned.
struct Buffer {
  std::shared_ptr<void> data;
  std::size_t bytes = 0;
};

/// A borrowed, row-major view: `data` of `shape`, where only the rows may lie apart. `row_stride` is in elements and is
/// the distance between two rows of a matrix `[rows, columns]`; the tensor is contiguous otherwise. Ownership is
/// elsewhere, and the owner outlives the view.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::kFloat32;
  Shape shape;
  std::int64_t row_stride = 0;

  TensorView() = default;
  TensorView(void* data_in, DType dtype_in, Shape shape_in);

  [[nodiscard]] std::int64_t rows() const { return shape.rank() == 0 ? 0 : shape[0]; }
  /// Elements of one row: the product of all dimensions but the first.
  [[nodiscard]] std::int64_t columns() const;
  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(shape.elements()) * dtype_size(dtype); }
  template <typename T>
  [[nodiscard]] T* as() const {
    return static_cast<T*>(data);
  }
  template <typename T>
  [[nodiscard]] T* row(std::int64_t index) const {
    return static_cast<T*>(data) + index * row_stride;
  }
  /// Rows [begin, begin + count) of a matrix.
  [[nodiscard]] TensorView slice_rows(std::int64_t begin, std::int64_t count) const;
  /// Columns [begin, begin + count) of every row; the rows lie apart afterwards.
  [[nodiscard]] TensorView slice_columns(std::int64_t begin, std::int64_t count) const;
};

/// A tensor that owns its buffer.
class Tensor {
 public:
  Tensor() = default;
  Tensor(Buffer buffer, DType dtype, Shape shape);
  [[nodiscard]] const TensorView& view() const { return view_; }
  [[nodiscard]] const Buffer& buffer() const { return buffer_; }
  [[nodiscard]] bool defined() const { return view_.data != nullptr; }

 private:
  Buffer buffer_;
  TensorView view_;
};

}  // namespace krait
