#include "kernels/cpu/cpu_weight.h"

#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "kernels/cpu/cpu_memory.h"
#include "kernels/result.h"
#include "kernels/thread_pool.h"

namespace krait::cpu {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw StartupError("Cannot pack a weight: " + message); }

float element(const TensorView& view, Index row, Index column) {
  const Index index = row * view.row_stride + column;
  switch (view.dtype) {
    case DType::kFloat32:
      return view.as<const float>()[index];
    case DType::kBFloat16:
      return bfloat16_to_float(view.as<const std::uint16_t>()[index]);
    default:
      return float16_to_float(view.as<const std::uint16_t>()[index]);
  }
}

void check_dtype(const TensorView& view) {
  if (view.dtype == DType::kFloat32 || view.dtype == DType::kBFloat16 || view.dtype == DType::kFloat16) return;
  refuse("its dtype is " + std::string(dtype_name(view.dtype)) + "; valid are float32, bfloat16 and float16.");
}

/// The rank's part of `total` along a sharded axis.
std::pair<Index, Index> shard_range(Index total, const Shard& shard) {
  if (total % shard.size != 0) {
    refuse(std::to_string(total) + " features cannot be split into " + std::to_string(shard.size) + " equal shards.");
  }
  const Index part = total / shard.size;
  return {part * shard.rank, part * (shard.rank + 1)};
}

/// One part after sharding: rows and columns of the checkpoint's matrix.
struct Part {
  TensorView view;
  const TensorView* bias = nullptr;
  Index row_begin = 0;
  Index rows = 0;
  Index column_begin = 0;
  Index columns = 0;

  [[nodiscard]] float at(Index row, Index column) const {
    return element(view, row_begin + row, column_begin + column);
  }
  [[nodiscard]] float bias_at(Index row) const { return bias == nullptr ? 0.0F : element(*bias, 0, row_begin + row); }
};

/// A bias is a vector: seen as one row.
TensorView as_row(const TensorView& bias) { return TensorView(bias.data, bias.dtype, Shape{1, bias.shape.elements()}); }

std::vector<Part> shard_parts(const WeightSource& source, const Shard& shard, const std::vector<TensorView>& biases) {
  if (source.parts.empty()) KRAIT_BUG("a weight has no parts");
  std::vector<Part> parts;
  for (std::size_t i = 0; i < source.parts.size(); ++i) {
    const TensorView& view = source.parts[i];
    check_dtype(view);
    if (view.shape.rank() != 2) refuse("its shape is " + view.shape.to_string() + ", not [out_features, in_features].");
    Part part{.view = view, .rows = view.rows(), .columns = view.columns()};
    if (part.columns != source.parts[0].columns()) refuse("its parts differ in in_features.");
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
  if (!source.biases.empty() && source.biases.size() != source.parts.size()) KRAIT_BUG("one bias a part, or none");
  bool any = false;
  for (std::size_t i = 0; i < source.biases.size(); ++i) {
    const TensorView& bias = source.biases[i];
    if (bias.data == nullptr) {
      rows.emplace_back();
      continue;
    }
    check_dtype(bias);
    if (bias.shape.elements() != source.parts[i].rows()) refuse("its bias has another length than its rows.");
    rows.push_back(as_row(bias));
    any = true;
  }
  if (!any) rows.clear();
  return rows;
}

bool exact_in_bfloat16(const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    if (part.view.dtype == DType::kBFloat16) continue;
    for (Index row = 0; row < part.rows; ++row) {
      for (Index column = 0; column < part.columns; ++column) {
        const float value = part.at(row, column);
        const float rounded = bfloat16_to_float(float_to_bfloat16(value));
        if (std::bit_cast<std::uint32_t>(value) != std::bit_cast<std::uint32_t>(rounded)) return false;
      }
    }
  }
  return true;
}

/// Where each panel's columns come from: `column(i)` is the part and row of panel column i, or none for padding.
class ColumnMap {
 public:
  ColumnMap(const std::vector<Part>& parts, bool gate_up) : parts_(parts), gate_up_(gate_up) {
    for (const Part& part : parts) total_ += part.rows;
    if (gate_up && (parts.size() != 2 || parts[0].rows != parts[1].rows))
      refuse("gate and up must be two equal parts.");
  }
  [[nodiscard]] Index total() const { return total_; }
  [[nodiscard]] Index panels() const {
    const auto panels_of = [](Index n) { return (n + kLanes - 1) / kLanes; };
    return gate_up_ ? 2 * panels_of(parts_[0].rows) : panels_of(total_);
  }
  [[nodiscard]] std::pair<const Part*, Index> column(Index index) const {
    if (gate_up_) {
      const Index panel = index / kLanes;
      const Part& part = parts_[static_cast<std::size_t>(panel % 2)];
      const Index row = panel / 2 * kLanes + index % kLanes;
      return row < part.rows ? std::pair{&part, row} : std::pair<const Part*, Index>{nullptr, 0};
    }
    for (const Part& part : parts_) {
      if (index < part.rows) return {&part, index};
      index -= part.rows;
    }
    return {nullptr, 0};
  }

 private:
  const std::vector<Part>& parts_;
  bool gate_up_;
  Index total_ = 0;
};

/// Writes one column of a panel. `base` is the panel's first byte.
void pack_column(const Part& part, Index row, Index lane, WeightLayout layout, std::byte* base) {
  auto* floats = reinterpret_cast<float*>(base);
  auto* halves = reinterpret_cast<std::uint16_t*>(base);
  for (Index k = 0; k < part.columns; ++k) {
    const float value = part.at(row, k);
    switch (layout) {
      case WeightLayout::kFloat32:
        floats[k * kLanes + lane] = value;
        break;
      case WeightLayout::kBFloat16:
        halves[k * kLanes + lane] = float_to_bfloat16(value);
        break;
      case WeightLayout::kBFloat16Pairs:
        halves[(k / 2 * kLanes + lane) * 2 + k % 2] = float_to_bfloat16(value);
        break;
    }
  }
}

std::size_t panel_bytes(WeightLayout layout, Index k) {
  const Index depth = layout == WeightLayout::kBFloat16Pairs ? k + k % 2 : k;
  return static_cast<std::size_t>(depth * kLanes) * (layout == WeightLayout::kFloat32 ? 4 : 2);
}

Buffer pack_panels(const ColumnMap& map, WeightLayout layout, Index k, ThreadPool& pool) {
  const std::size_t stride = panel_bytes(layout, k);
  Buffer buffer = allocate_buffer(stride * static_cast<std::size_t>(map.panels()));
  auto* base = static_cast<std::byte*>(buffer.data.get());
  pool.parallel_for(map.panels(), [&](Index begin, Index end, int) {
    std::memset(base + stride * static_cast<std::size_t>(begin), 0, stride * static_cast<std::size_t>(end - begin));
    for (Index index = begin * kLanes; index < end * kLanes; ++index) {
      const auto [part, row] = map.column(index);
      if (part == nullptr) continue;
      pack_column(*part, row, index % kLanes, layout, base + stride * static_cast<std::size_t>(index / kLanes));
    }
  });
  return buffer;
}

Buffer pack_bias(const ColumnMap& map) {
  Buffer buffer = allocate_buffer(static_cast<std::size_t>(map.panels() * kLanes) * sizeof(float));
  auto* bias = static_cast<float*>(buffer.data.get());
  for (Index index = 0; index < map.panels() * kLanes; ++index) {
    const auto [part, row] = map.column(index);
    bias[index] = part == nullptr ? 0.0F : part->bias_at(row);
  }
  return buffer;
}

}  // namespace

PackedWeight pack_weight(const WeightSource& source, const PackScheme& scheme, const Shard& shard, bool pairs,
                         ThreadPool& pool) {
  if (scheme.quantization != Quantization::kNone) refuse("this build has no quantised weights.");
  const std::vector<TensorView> biases = bias_rows(source, shard);
  const std::vector<Part> parts = shard_parts(source, shard, biases);
  const ColumnMap map(parts, scheme.gate_up);
  const bool exact = exact_in_bfloat16(parts);
  const bool paired = exact && pairs && scheme.compute_dtype == DType::kBFloat16;
  PanelWeight weight;
  weight.layout = paired ? WeightLayout::kBFloat16Pairs : exact ? WeightLayout::kBFloat16 : WeightLayout::kFloat32;
  weight.k = parts[0].columns;
  weight.gate_up = scheme.gate_up;
  weight.n = scheme.gate_up ? map.total() / 2 : map.total();
  weight.num_panels = map.panels();
  Buffer panels = pack_panels(map, weight.layout, weight.k, pool);
  Buffer bias = biases.empty() ? Buffer{} : pack_bias(map);
  weight.panels = static_cast<const std::byte*>(panels.data.get());
  weight.bias = static_cast<const float*>(bias.data.get());
  const std::size_t bytes = panels.bytes + bias.bytes;
  auto storage = std::make_shared<CpuWeight>(weight, std::move(panels), std::move(bias), scheme.compute_dtype);
  return PackedWeight(std::move(storage), map.total(), weight.k, bytes);
}

}  // namespace krait::cpu
