#include "kernels/cpu/cpu_weight.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "kernels/cpu/cpu_memory.h"
#include "kernels/cpu/quantized_panels.h"
#include "kernels/cpu/weight_parts.h"
#include "kernels/result.h"
#include "kernels/thread_pool.h"

namespace krait::cpu {
namespace {

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
      case WeightLayout::kInt8:
      case WeightLayout::kInt4:
        KRAIT_BUG("a column of float panels in a quantised layout");
    }
  }
}

std::size_t panel_bytes(WeightLayout layout, Index k) {
  const Index depth = layout == WeightLayout::kBFloat16Pairs ? k + k % 2 : k;
  return static_cast<std::size_t>(depth * kLanes) * (layout == WeightLayout::kFloat32 ? 4 : 2);
}

WeightLayout float_layout(const std::vector<Part>& parts, bool pairs) {
  if (!exact_in_bfloat16(parts)) return WeightLayout::kFloat32;
  return pairs ? WeightLayout::kBFloat16Pairs : WeightLayout::kBFloat16;
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

PackedWeight pack_weight(const WeightSource& source, const PackScheme& scheme, const Shard& shard,
                         const KernelTable& kernels, ThreadPool& pool) {
  if (!source.quantized.empty() && scheme.quantization == Quantization::kNone) KRAIT_BUG("quantised parts of no form");
  const std::vector<TensorView> biases = bias_rows(source, shard);
  const std::vector<Part> parts = shard_parts(source, shard, biases);
  const ColumnMap map(parts, scheme.gate_up);
  PanelWeight weight;
  weight.k = parts[0].columns;
  weight.gate_up = scheme.gate_up;
  weight.n = scheme.gate_up ? map.total() / 2 : map.total();
  weight.num_panels = map.panels();
  Buffer panels;
  if (scheme.quantization == Quantization::kNone) {
    weight.layout = float_layout(parts, kernels.gemm_pairs != nullptr && scheme.compute_dtype == DType::kBFloat16);
    panels = pack_panels(map, weight.layout, weight.k, pool);
  } else {
    weight.layout = scheme.quantization == Quantization::kInt4 ? WeightLayout::kInt4 : WeightLayout::kInt8;
    const bool has_zeros = std::any_of(source.quantized.begin(), source.quantized.end(),
                                       [](const QuantizedPart& part) { return part.zeros != nullptr; });
    weight.quantized = quantized_form(weight.layout, weight.k, scheme.group(), has_zeros, shard);
    panels = source.quantized.empty() ? quantize_panels(map, weight.layout, weight.quantized, weight.k, kernels, pool)
                                      : copy_quantized_panels(map, weight.layout, weight.quantized, pool);
  }
  Buffer bias = biases.empty() ? Buffer{} : pack_bias(map);
  weight.panels = static_cast<const std::byte*>(panels.data.get());
  weight.bias = static_cast<const float*>(bias.data.get());
  const std::size_t bytes = panels.bytes + bias.bytes;
  auto storage = std::make_shared<CpuWeight>(weight, std::move(panels), std::move(bias), scheme.compute_dtype);
  return PackedWeight(std::move(storage), map.total(), weight.k, bytes);
}

}  // namespace krait::cpu
