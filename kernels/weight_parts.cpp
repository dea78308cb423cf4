#include "kernels/weight_parts.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kernels/result.h"

namespace krait {
namespace {

void check_dtype(const TensorView& view) {
  if (view.dtype == DType::kFloat32 || view.dtype == DType::kBFloat16 || view.dtype == DType::kFloat16) return;
  refuse_weight("its dtype is " + std::string(dtype_name(view.dtype)) + "; valid are float32, bfloat16 and float16.");
}

/// The rank's part of `total` along a sharded axis.
std::pair<std::int64_t, std::int64_t> shard_range(std::int64_t total, const Shard& shard) {
  if (total % shard.size != 0) {
    refuse_weight(std::to_string(total) + " features cannot be split into " + std::to_string(shard.size) +
                  " equal shards.");
  }
  const std::int64_t part = total / shard.size;
  return {part * shard.rank, part * (shard.rank + 1)};
}

/// A bias is a vector: seen as one row.
TensorView as_row(const TensorView& bias) { return TensorView(bias.data, bias.dtype, Shape{1, bias.shape.elements()}); }

}  // namespace

void refuse_weight(const std::string& message) { throw StartupError("Cannot pack a weight: " + message); }

float weight_element(const TensorView& view, std::int64_t row, std::int64_t column) {
  const std::int64_t index = row * view.row_stride + column;
  switch (view.dtype) {
    case DType::kFloat32:
      return view.as<const float>()[index];
    case DType::kBFloat16:
      return bfloat16_to_float(view.as<const std::uint16_t>()[index]);
    default:
      return float16_to_float(view.as<const std::uint16_t>()[index]);
  }
}

void check_groups(int group_size, std::int64_t columns, const Shard& shard) {
  constexpr int kUnit = 32;
  if (group_size < kUnit || group_size % kUnit != 0) {
    refuse_weight("its groups have " + std::to_string(group_size) + " inputs; valid are multiples of 32.");
  }
  if (shard.axis == Shard::Axis::kInput && shard.size > 1 && columns % group_size != 0) {
    refuse_weight("a shard of " + std::to_string(columns) + " inputs cuts the groups of " + std::to_string(group_size) +
                  " that share a scale.");
  }
}

float scale_unit(const float* scales, std::int64_t groups) {
  float largest = 0.0F;
  for (std::int64_t g = 0; g < groups; ++g) {
    if (!std::isfinite(scales[g])) return std::numeric_limits<float>::quiet_NaN();
    largest = std::max(largest, std::abs(scales[g]));
  }
  return largest == 0.0F ? 1.0F : std::ldexp(1.0F, std::max(std::ilogb(largest) - 14, -126));
}

const std::byte* WeightPart::row_bytes(std::int64_t row) const {
  const std::int64_t first = (row_begin + row) * view.row_stride + column_begin;
  return view.as<const std::byte>() + first * static_cast<std::int64_t>(dtype_size(view.dtype));
}

void WeightPart::read_row(std::int64_t row, float* to) const {
  const std::byte* from = row_bytes(row);
  if (view.dtype == DType::kFloat32) {
    std::memcpy(to, from, static_cast<std::size_t>(columns) * sizeof(float));
    return;
  }
  const auto convert = [&](auto as_float) {
    for (std::int64_t i = 0; i < columns; ++i) {
      std::uint16_t half = 0;
      std::memcpy(&half, from + i * std::int64_t{sizeof(half)}, sizeof(half));
      to[i] = as_float(half);
    }
  };
  if (view.dtype == DType::kBFloat16) {
    convert(bfloat16_to_float);
  } else {
    convert(float16_to_float);
  }
}

std::vector<WeightPart> shard_parts(const WeightSource& source, const Shard& shard,
                                    const std::vector<TensorView>& biases) {
  if (source.parts.empty() == source.quantized.empty()) KRAIT_BUG("a weight of float parts, or of quantised ones");
  std::vector<WeightPart> parts;
  for (std::size_t i = 0; i < source.parts.size() + source.quantized.size(); ++i) {
    WeightPart part{.view = {}};
    if (source.quantized.empty()) {
      part.view = source.parts[i];
      check_dtype(part.view);
    } else {
      part.quantized = &source.quantized[i];
      part.view = TensorView(nullptr, DType::kInt8, Shape{part.quantized->rows, part.quantized->columns});
    }
    if (part.view.shape.rank() != 2) {
      refuse_weight("its shape is " + part.view.shape.to_string() + ", not [out_features, in_features].");
    }
    part.rows = part.view.rows();
    part.columns = part.view.columns();
    if (!parts.empty() && part.columns != parts[0].view.columns()) refuse_weight("its parts differ in in_features.");
    if (shard.axis == Shard::Axis::kOutput) {
      const auto [begin, end] = shard_range(part.rows, shard);
      part.row_begin = begin;
      part.rows = end - begin;
    } else if (shard.axis == Shard::Axis::kInput) {
      const auto [begin, end] = shard_range(part.columns, shard);
      part.column_begin = begin;
      part.columns = end - begin;
    }
    if (!biases.empty() && biases[i].data != nullptr) part.bias = &biases[i];
    parts.push_back(part);
  }
  return parts;
}

std::vector<TensorView> bias_rows(const WeightSource& source, const Shard& shard) {
  std::vector<TensorView> rows;
  if (shard.axis == Shard::Axis::kInput && shard.rank != 0) return rows;
  const std::size_t parts = source.parts.size() + source.quantized.size();
  if (!source.biases.empty() && source.biases.size() != parts) KRAIT_BUG("one bias a part, or none");
  bool any = false;
  for (std::size_t i = 0; i < source.biases.size(); ++i) {
    const TensorView& bias = source.biases[i];
    if (bias.data == nullptr) {
      rows.emplace_back();
      continue;
    }
    check_dtype(bias);
    const std::int64_t outputs = source.quantized.empty() ? source.parts[i].rows() : source.quantized[i].rows;
    if (bias.shape.elements() != outputs) refuse_weight("its bias has another length than its rows.");
    rows.push_back(as_row(bias));
    any = true;
  }
  if (!any) rows.clear();
  return rows;
}

}  // namespace krait
