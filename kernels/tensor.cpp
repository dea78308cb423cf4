#include "kernels/tensor.h"

#include <utility>

#include "kernels/result.h"

namespace krait {

Shape::Shape(std::initializer_list<std::int64_t> dims) {
  for (const std::int64_t dim : dims) push_back(dim);
}

void Shape::push_back(std::int64_t dim) {
  if (rank_ == kMaxRank) KRAIT_BUG("a shape has at most five dimensions");
  dims_[static_cast<std::size_t>(rank_)] = dim;
  ++rank_;
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  for (int axis = 0; axis < rank_; ++axis) product *= (*this)[axis];
  return rank_ == 0 ? 0 : product;
}

std::string Shape::to_string() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string((*this)[axis]);
  }
  return text + "]";
}

TensorView::TensorView(void* data_in, DType dtype_in, Shape shape_in)
    : data(data_in), dtype(dtype_in), shape(shape_in) {
  row_stride = columns();
}

std::int64_t TensorView::columns() const {
  std::int64_t product = 1;
  for (int axis = 1; axis < shape.rank(); ++axis) product *= shape[axis];
  return shape.rank() == 0 ? 0 : product;
}

TensorView TensorView::slice_rows(std::int64_t begin, std::int64_t count) const {
  if (begin < 0 || count < 0 || begin + count > rows()) KRAIT_BUG("row slice outside of " + shape.to_string());
  TensorView view = *this;
  view.data = static_cast<std::byte*>(data) + begin * row_stride * static_cast<std::int64_t>(dtype_size(dtype));
  view.shape = Shape{count};
  for (int axis = 1; axis < shape.rank(); ++axis) view.shape.push_back(shape[axis]);
  return view;
}

TensorView TensorView::slice_columns(std::int64_t begin, std::int64_t count) const {
  if (shape.rank() != 2) KRAIT_BUG("column slice of a tensor that is no matrix: " + shape.to_string());
  if (begin < 0 || count < 0 || begin + count > columns()) KRAIT_BUG("column slice outside of " + shape.to_string());
  TensorView view = *this;
  view.data = static_cast<std::byte*>(data) + begin * static_cast<std::int64_t>(dtype_size(dtype));
  view.shape = Shape{rows(), count};
  return view;
}

Tensor::Tensor(Buffer buffer, DType dtype, Shape shape) : buffer_(std::move(buffer)) {
  view_ = TensorView(buffer_.data.get(), dtype, shape);
  if (view_.bytes() > buffer_.bytes) KRAIT_BUG("a buffer is too small for " + shape.to_string());
}

}  // namespace krait
