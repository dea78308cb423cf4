// 8-bit floats of a checkpoint, and the scales beside them.

#include <string>
#include <utility>

#include "kernels/result.h"
#include "models/weights/float8.h"
#include "models/weights/float_conversion.h"
#include "models/weights/weight_loader.h"

namespace krait {
namespace {

/// One matrix of 8-bit floats as it is stored, and how its scales may be cut.
struct StoredMatrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t block_rows = 0;
  std::int64_t block_columns = 0;
};

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// The shape without its first dimension.
Shape member_shape(const Shape& stack) {
  Shape shape;
  for (int axis = 1; axis < stack.rank(); ++axis) shape.push_back(stack[axis]);
  return shape;
}

/// How scales of this shape lie over the matrix; false for a shape that fits none of the ways.
bool lay_scales(const StoredMatrix& matrix, const Shape& shape, Float8Scales& scales) {
  if (shape.elements() == 1 || shape.rank() == 0) {
    scales.row_block = matrix.rows;
    scales.column_block = matrix.columns;
    return true;
  }
  if (shape == Shape{matrix.rows} || shape == Shape{matrix.rows, 1}) {
    scales.column_block = matrix.columns;
    scales.row_stride = 1;
    return true;
  }
  scales.row_block = matrix.block_rows;
  scales.column_block = matrix.block_columns;
  scales.row_stride = divide_up(matrix.columns, matrix.block_columns);
  return shape == Shape{divide_up(matrix.rows, matrix.block_rows), scales.row_stride};
}

}  // namespace

std::string WeightLoader::scale_of(const std::string& name) const {
  for (const char* suffix : {"_scale_inv", "_scale"}) {
    if (checkpoint_->has(name + suffix)) return name + suffix;
  }
  return {};
}

void WeightLoader::note_scales(const std::string& name) {
  const std::string scale = scale_of(name);
  if (!scale.empty()) taken_.emplace(scale, checkpoint_->shape(scale));
  const std::string weight = ".weight";
  if (name.ends_with(weight)) ignored_.insert(name.substr(0, name.size() - weight.size()) + ".input_scale");
}

WeightLoader::Floats WeightLoader::dequantize(const std::string& name, const TensorView& stored,
                                              std::int64_t stack_count, std::int64_t stack_index) {
  if (last_floats_ && last_name_ == name && last_index_ == stack_index) return last_floats_;
  last_floats_.reset();
  TensorView member = stored;
  if (stack_count > 0) {
    const std::size_t bytes = stored.bytes() / static_cast<std::size_t>(stack_count);
    member = {stored.as<std::byte>() + static_cast<std::size_t>(stack_index) * bytes, stored.dtype,
              member_shape(stored.shape)};
  }
  if (member.shape.rank() == 1) member = {member.data, member.dtype, Shape{1, member.shape[0]}};

  Float8Scales scales;
  std::vector<float> values;
  const std::string scale_name = scale_of(name);
  if (!scale_name.empty()) {
    const TensorView scale = checkpoint_->tensor(scale_name);
    require_float(scale_name, scale);
    values.resize(static_cast<std::size_t>(scale.shape.elements()));
    convert_to_float32(scale, values.data());
    const StoredMatrix matrix{
        .rows = member.rows(), .columns = member.columns(), .block_rows = block_rows_, .block_columns = block_columns_};
    const bool of_stack = stack_count > 0 && scale.shape.elements() > 1;
    const Shape shape = of_stack ? member_shape(scale.shape) : scale.shape;
    if ((of_stack && scale.shape[0] != stack_count) || !lay_scales(matrix, shape, scales)) {
      throw StartupError(Error{.code = ErrorCode::kUnsupported,
                               .message = checkpoint_->file_of(scale_name) + ": tensor `" + scale_name +
                                          "` has the shape " + scale.shape.to_string() + ", which fits `" + name +
                                          "` " + stored.shape.to_string() +
                                          " in no way: valid are one scale, one a row, or " + "one a block of " +
                                          std::to_string(block_rows_) + " × " + std::to_string(block_columns_),
                               .field = scale_name});
    }
    scales.values = values;
    if (of_stack) {
      const std::size_t each = values.size() / static_cast<std::size_t>(stack_count);
      scales.values = scales.values.subspan(static_cast<std::size_t>(stack_index) * each, each);
    }
  }
  auto floats = std::make_shared<std::vector<float>>(static_cast<std::size_t>(member.shape.elements()));
  dequantize_float8(member, scales, floats->data());
  last_name_ = name;
  last_index_ = stack_index;
  last_floats_ = std::move(floats);
  return last_floats_;
}

TensorView WeightLoader::readable(const std::string& name, const TensorView& view, std::vector<Floats>& keep) {
  const bool integers = stored_quantized(name);
  if (!integers && !is_float8(view.dtype)) return view;
  keep.push_back(integers ? dequantize_integers(name) : dequantize(name, view));
  // TensorView has one pointer type for both directions; weights are only ever read.
  return {const_cast<float*>(keep.back()->data()), DType::kFloat32, view.shape};
}

}  // namespace krait
