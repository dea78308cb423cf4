#include "models/weights/quantized_reader.h"

#include <algorithm>

#include "kernels/result.h"
#include "models/weights/float_conversion.h"
#include "models/weights/quantized_rows.h"

namespace krait {
namespace {

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// "model.layers.0.q_proj." of "model.layers.0.q_proj.weight".
std::string prefix_of(const std::string& weight) {
  constexpr std::string_view kSuffix = "weight";
  return weight.ends_with(".weight") ? weight.substr(0, weight.size() - kSuffix.size()) : weight + ".";
}

/// Value number `place` of those in a word.
std::uint8_t field(std::int32_t word, std::int64_t place, int bits) {
  const std::uint32_t moved = static_cast<std::uint32_t>(word) >> (static_cast<int>(place) * bits);
  return static_cast<std::uint8_t>(moved & ((1U << bits) - 1U));
}

/// Value number `index` of a row of packed int32.
std::uint8_t unpack(const std::int32_t* row, std::int64_t index, int bits) {
  const int per = 32 / bits;
  return field(row[index / per], index % per, bits);
}

}  // namespace

void QuantizedReader::refuse(const std::string& name, const std::string& why) const {
  throw StartupError(Error{.code = ErrorCode::kUnsupported,
                           .message = checkpoint_->file_of(name) + ": tensor `" + name + "` " + why,
                           .field = name});
}

QuantizedReader::Form QuantizedReader::form_of(const std::string& weight) const {
  const std::string prefix = prefix_of(weight);
  if (method_ == "compressed-tensors") {
    if (checkpoint_->has(prefix + "weight_packed")) return Form::kPacked;
    const bool int8 = checkpoint_->has(weight) && checkpoint_->dtype(weight) == DType::kInt8;
    return int8 && checkpoint_->has(prefix + "weight_scale") ? Form::kInt8 : Form::kNone;
  }
  if (method_ != "gptq" && method_ != "awq") return Form::kNone;
  if (!checkpoint_->has(prefix + "qweight")) return Form::kNone;
  return method_ == "gptq" ? Form::kGptq : Form::kAwq;
}

bool QuantizedReader::has(const std::string& weight) const { return form_of(weight) != Form::kNone; }

Shape QuantizedReader::shape(const std::string& weight) const {
  const Layout layout = layout_of(weight);
  return {layout.rows, layout.columns};
}

int QuantizedReader::bits(const std::string& weight) const { return layout_of(weight).bits; }

std::vector<std::string> QuantizedReader::tensors(const std::string& weight) const {
  const std::string prefix = prefix_of(weight);
  std::vector<std::string> names;
  for (const char* suffix :
       {"weight", "weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx", "qweight",
        "qzeros", "scales", "g_idx", "input_scale", "input_zero_point"}) {
    if (checkpoint_->has(prefix + suffix)) names.push_back(prefix + suffix);
  }
  return names;
}

TensorView QuantizedReader::integers(const std::string& name, DType dtype, const Shape& shape) const {
  if (!checkpoint_->has(name)) {
    throw StartupError(Error{.code = ErrorCode::kUnsupported,
                             .message = checkpoint_->folder() + ": tensor `" + name + "` is missing",
                             .field = name});
  }
  if (checkpoint_->dtype(name) != dtype || checkpoint_->shape(name) != shape) {
    refuse(name, "is " + std::string(dtype_name(checkpoint_->dtype(name))) + " " +
                     checkpoint_->shape(name).to_string() + "; expected " + std::string(dtype_name(dtype)) + " " +
                     shape.to_string());
  }
  return checkpoint_->tensor(name);
}

QuantizedReader::Layout QuantizedReader::layout_of(const std::string& weight) const {
  const std::string prefix = prefix_of(weight);
  Layout layout{.form = form_of(weight)};
  const auto matrix = [&](const std::string& name) {
    const Shape shape = checkpoint_->has(name) ? checkpoint_->shape(name) : Shape{};
    if (shape.rank() != 2 || shape.elements() == 0) refuse(name, "has the shape " + shape.to_string());
    return shape;
  };
  if (layout.form == Form::kInt8) {
    const Shape shape = matrix(weight);
    layout.rows = shape[0];
    layout.columns = shape[1];
  } else if (layout.form == Form::kPacked) {
    const std::string name = prefix + "weight_packed";
    const Shape packed = matrix(name);
    const auto* sizes = integers(prefix + "weight_shape", DType::kInt64, Shape{2}).as<const std::int64_t>();
    layout.rows = sizes[0];
    layout.columns = sizes[1];
    layout.bits = packed[1] == divide_up(layout.columns, 8) ? 4 : 8;
    if (packed[0] != layout.rows || layout.columns < 1 || packed[1] != divide_up(layout.columns, 32 / layout.bits)) {
      refuse(name, packed.to_string() + " does not fit its `weight_shape` in 4 or 8 bits");
    }
  } else {
    const std::string name = prefix + "qweight";
    const Shape packed = matrix(name);
    const Shape scales = matrix(prefix + "scales");
    layout.rows = scales[1];
    if (layout.form == Form::kAwq) {
      layout.bits = 4;
      layout.columns = packed[0];
      if (packed[1] * 8 != layout.rows) refuse(name, packed.to_string() + " does not fit its scales in 4 bits");
      return layout;
    }
    // The zero points say how many bits there are.
    const Shape zeros = matrix(prefix + "qzeros");
    layout.bits = zeros[1] == divide_up(layout.rows, 8) ? 4 : 8;
    layout.columns = packed[0] * (32 / layout.bits);
    if (packed[1] != layout.rows || zeros[1] != divide_up(layout.rows, 32 / layout.bits)) {
      refuse(name, packed.to_string() + " does not fit its scales and zero points in 4 or 8 bits");
    }
  }
  return layout;
}

std::vector<float> QuantizedReader::scales(const std::string& name, const Layout& layout, std::int64_t& groups) const {
  if (!checkpoint_->has(name)) refuse(name, "is missing");
  const TensorView stored = checkpoint_->tensor(name);
  if (!is_float_weight(stored.dtype)) refuse(name, "is " + std::string(dtype_name(stored.dtype)));
  const bool by_group = layout.form == Form::kGptq || layout.form == Form::kAwq;
  std::vector<float> values(static_cast<std::size_t>(stored.shape.elements()));
  if (stored.shape.elements() == 1) {
    convert_to_float32(stored, values.data());
    groups = 1;
    return std::vector<float>(static_cast<std::size_t>(layout.rows), values[0]);
  }
  const int axis = by_group ? 1 : 0;
  if (stored.shape == Shape{layout.rows}) {
    groups = 1;
  } else if (stored.shape.rank() == 2 && stored.shape[axis] == layout.rows && stored.shape[1 - axis] > 0) {
    groups = stored.shape[1 - axis];
  } else {
    refuse(name, "has the shape " + stored.shape.to_string() + ", which fits no groups of a matrix of " +
                     std::to_string(layout.rows) + " outputs");
  }
  if (by_group) {
    convert_to_float32_transposed(stored, values.data());
  } else {
    convert_to_float32(stored, values.data());
  }
  return values;
}

ReadQuantizedRows QuantizedReader::row_reader(const std::string& weight, const Layout& layout) const {
  const std::string prefix = prefix_of(weight);
  const int per = 32 / layout.bits;
  const auto words = [&](const char* name, const Shape& shape) {
    return integers(prefix + name, DType::kInt32, shape).as<const std::int32_t>();
  };
  switch (layout.form) {
    case Form::kInt8:
      return int8_rows(checkpoint_->tensor(weight).as<const std::int8_t>(), layout.columns);
    case Form::kPacked:
      return packed_rows(words("weight_packed", {layout.rows, divide_up(layout.columns, per)}), layout.columns,
                         layout.bits);
    case Form::kGptq:
      return gptq_rows(words("qweight", {layout.columns / per, layout.rows}), layout.rows, layout.columns, layout.bits);
    case Form::kAwq:
      return awq_rows(words("qweight", {layout.columns, layout.rows / 8}), layout.rows, layout.columns);
    case Form::kNone:
      break;
  }
  KRAIT_BUG("a quantised matrix of no form");
}

void QuantizedReader::read_zeros(const std::string& weight, const Layout& layout, QuantizedMatrix& matrix) const {
  const std::string prefix = prefix_of(weight);
  const std::int64_t groups = matrix.groups();
  const auto fill = [&](auto value) {
    matrix.zeros.resize(static_cast<std::size_t>(layout.rows * groups));
    for (std::int64_t r = 0; r < layout.rows; ++r) {
      for (std::int64_t g = 0; g < groups; ++g) {
        matrix.zeros[static_cast<std::size_t>(r * groups + g)] = static_cast<std::uint16_t>(value(r, g));
      }
    }
  };
  if (layout.form == Form::kPacked || layout.form == Form::kInt8) {
    const std::string name = prefix + "weight_zero_point";
    if (!checkpoint_->has(name)) return;
    if (checkpoint_->dtype(name) == DType::kInt8) {  // one a group, as they are
      const TensorView stored = checkpoint_->tensor(name);
      const auto* from = stored.as<const std::int8_t>();
      const int middle = layout.bits == 4 ? 8 : 128;
      if (stored.shape.elements() == 1) return fill([&](std::int64_t, std::int64_t) { return from[0] + middle; });
      if (stored.shape.elements() != layout.rows * groups) refuse(name, "has the shape " + stored.shape.to_string());
      return fill([&](std::int64_t r, std::int64_t g) { return from[r * groups + g] + middle; });
    }
    const std::int64_t words = divide_up(layout.rows, 32 / layout.bits);
    const auto* from = integers(name, DType::kInt32, Shape{words, groups}).as<const std::int32_t>();
    const int per = 32 / layout.bits;
    return fill(
        [&](std::int64_t r, std::int64_t g) { return field(from[r / per * groups + g], r % per, layout.bits); });
  }
  const std::int64_t words = divide_up(layout.rows, 32 / layout.bits);
  const auto* from = integers(prefix + "qzeros", DType::kInt32, Shape{groups, words}).as<const std::int32_t>();
  if (layout.form == Form::kGptq) {
    const int more = zeros_less_one_ ? 1 : 0;
    return fill([&](std::int64_t r, std::int64_t g) { return unpack(from + g * words, r, layout.bits) + more; });
  }
  fill([&](std::int64_t r, std::int64_t g) { return unpack(from + g * words, r / 8 * 8 + awq_place(r), 4); });
}

void QuantizedReader::read_group_indices(const std::string& name, QuantizedMatrix& matrix) const {
  if (!checkpoint_->has(name)) return;
  const auto* from = integers(name, DType::kInt32, Shape{matrix.columns}).as<const std::int32_t>();
  bool in_order = true;
  for (std::int64_t c = 0; c < matrix.columns; ++c) {
    if (from[c] < 0 || from[c] >= matrix.groups()) {
      refuse(name, "has the group " + std::to_string(from[c]) + " of " + std::to_string(matrix.groups()));
    }
    in_order = in_order && from[c] == c / matrix.group;
  }
  if (!in_order) matrix.group_of.assign(from, from + matrix.columns);
}

QuantizedMatrix QuantizedReader::read(const std::string& weight) const {
  const std::string prefix = prefix_of(weight);
  const Layout layout = layout_of(weight);
  const bool compressed = layout.form == Form::kPacked || layout.form == Form::kInt8;
  QuantizedMatrix matrix{.rows = layout.rows, .columns = layout.columns, .bits = layout.bits};
  std::int64_t groups = 1;
  matrix.scales = scales(prefix + (compressed ? "weight_scale" : "scales"), layout, groups);
  // The last group may be short only where the config says how long the others are.
  const bool as_configured = group_size_ > 0 && divide_up(layout.columns, group_size_) == groups;
  matrix.group = as_configured ? group_size_ : divide_up(layout.columns, groups);
  if (!as_configured && layout.columns % groups != 0) {
    refuse(prefix + (compressed ? "weight_scale" : "scales"), "has " + std::to_string(groups) + " groups, into which " +
                                                                  std::to_string(layout.columns) +
                                                                  " inputs cannot be cut");
  }
  matrix.read_rows = row_reader(weight, layout);
  read_zeros(weight, layout, matrix);
  read_group_indices(prefix + (compressed ? "weight_g_idx" : "g_idx"), matrix);
  return matrix;
}

}  // namespace krait
