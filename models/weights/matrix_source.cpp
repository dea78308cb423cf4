#include "models/weights/matrix_source.h"

#include <cstring>

#include "kernels/result.h"

namespace krait {
namespace {

/// Number `stack_index` of a stack, or the tensor itself.
std::byte* stacked_data(const MatrixSource& source, const TensorView& stored) {
  if (source.stack_count == 0) return stored.as<std::byte>();
  if (source.stack_index < 0 || source.stack_index >= source.stack_count) {
    KRAIT_BUG("no matrix " + std::to_string(source.stack_index) + " in the stack " + source.weight);
  }
  const std::size_t bytes = stored.bytes() / static_cast<std::size_t>(source.stack_count);
  return stored.as<std::byte>() + static_cast<std::size_t>(source.stack_index) * bytes;
}

std::int64_t stored_row(const MatrixSource& source, std::int64_t row) {
  return source.rows.empty() ? row : source.rows[static_cast<std::size_t>(row)];
}

/// Copies `rows` rows of `columns` elements, where element (r, c) is stored at `r * row_step + c * column_step`.
TensorView gather(const MatrixSource& source, const std::byte* from, DType dtype, std::int64_t columns,
                  std::int64_t row_step, std::int64_t column_step, std::vector<std::vector<std::byte>>& copies) {
  const std::size_t size = dtype_size(dtype);
  std::vector<std::byte>& copy = copies.emplace_back(static_cast<std::size_t>(source.out_features * columns) * size);
  std::byte* to = copy.data();
  for (std::int64_t r = 0; r < source.out_features; ++r) {
    const std::byte* row = from + static_cast<std::size_t>(stored_row(source, r) * row_step) * size;
    if (column_step == 1) {
      std::memcpy(to, row, static_cast<std::size_t>(columns) * size);
      to += static_cast<std::size_t>(columns) * size;
      continue;
    }
    for (std::int64_t c = 0; c < columns; ++c, to += size) {
      std::memcpy(to, row + static_cast<std::size_t>(c * column_step) * size, size);
    }
  }
  return {copy.data(), dtype, Shape{source.out_features, columns}};
}

}  // namespace

Shape MatrixSource::weight_shape(std::int64_t in_features) const {
  Shape shape;
  if (stack_count > 0) shape.push_back(stack_count);
  shape.push_back(transposed ? stored_in(in_features) : stored_out());
  shape.push_back(transposed ? stored_out() : stored_in(in_features));
  if (taps > 0) shape.push_back(taps);
  return shape;
}

Shape MatrixSource::bias_shape() const {
  Shape shape;
  if (stack_count > 0) shape.push_back(stack_count);
  shape.push_back(stored_out());
  return shape;
}

TensorView matrix_view(const MatrixSource& source, const TensorView& stored, std::int64_t in_features,
                       std::vector<std::vector<std::byte>>& copies) {
  std::byte* data = stacked_data(source, stored);
  const std::int64_t stored_in = source.stored_in(in_features);
  if (source.first_input < 0 || source.first_input + in_features > stored_in) {
    KRAIT_BUG("no inputs from " + std::to_string(source.first_input) + " on in " + source.weight);
  }
  if (source.taps > 0 && (source.tap < 0 || source.tap >= source.taps)) {
    KRAIT_BUG("no tap " + std::to_string(source.tap) + " in " + source.weight);
  }
  const std::int64_t element = source.taps > 0 ? source.taps : 1;
  const std::int64_t row_step = element * (source.transposed ? 1 : stored_in);
  const std::int64_t column_step = element * (source.transposed ? source.stored_out() : 1);
  const bool in_place = !source.transposed && source.rows.empty() && stored_in == in_features && element == 1;
  if (!in_place) {
    data += static_cast<std::size_t>(source.first_input * column_step + source.tap) * dtype_size(stored.dtype);
    return gather(source, data, stored.dtype, in_features, row_step, column_step, copies);
  }
  return {data, stored.dtype, Shape{source.out_features, in_features}};
}

TensorView bias_view(const MatrixSource& source, const TensorView& stored,
                     std::vector<std::vector<std::byte>>& copies) {
  std::byte* data = stacked_data(source, stored);
  if (source.rows.empty()) return {data, stored.dtype, Shape{source.out_features}};
  const TensorView column = gather(source, data, stored.dtype, 1, 1, 1, copies);
  return {column.data, column.dtype, Shape{source.out_features}};
}

}  // namespace krait
