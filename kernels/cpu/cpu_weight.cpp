#include "kernels/cpu/cpu_weight.h"

#include <algorithm>
#include <utility>

#include "kernels/cpu/column_map.h"
#include "kernels/cpu/cpu_memory.h"
#include "kernels/cpu/float_panels.h"
#include "kernels/cpu/quantized_panels.h"
#include "kernels/result.h"
#include "kernels/thread_pool.h"

namespace krait::cpu {
namespace {

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
  const std::vector<WeightPart> parts = shard_parts(source, shard, biases);
  const ColumnMap map(parts, scheme.gate_up);
  PanelWeight weight;
  weight.k = parts[0].columns;
  weight.gate_up = scheme.gate_up;
  weight.n = scheme.gate_up ? map.total() / 2 : map.total();
  weight.num_panels = map.panels();
  Buffer panels;
  if (scheme.quantization == Quantization::kNone) {
    weight.layout = float_layout(parts, kernels.gemm_pairs != nullptr && scheme.compute_dtype == DType::kBFloat16);
    panels = pack_float_panels(map, weight.layout, weight.k, pool);
  } else {
    weight.layout = scheme.quantization == Quantization::kInt4 ? WeightLayout::kInt4 : WeightLayout::kInt8;
    const bool has_zeros = std::any_of(source.quantized.begin(), source.quantized.end(),
                                       [](const QuantizedPart& part) { return part.zeros != nullptr; });
    weight.quantized = quantized_form(weight.layout, weight.k, scheme.group(), has_zeros, shard);
    panels = source.quantized.empty() ? quantize_panels(map, weight.layout, weight.quantized, weight.k, kernels, pool)
                                      : copy_quantized_panels(map, weight.layout, weight.quantized, weight.k, pool);
  }
  Buffer bias = biases.empty() ? Buffer{} : pack_bias(map);
  weight.panels = static_cast<const std::byte*>(panels.data.get());
  weight.bias = static_cast<const float*>(bias.data.get());
  const std::size_t bytes = panels.bytes + bias.bytes;
  auto storage = std::make_shared<CpuWeight>(weight, std::move(panels), std::move(bias), scheme.compute_dtype);
  return PackedWeight(std::move(storage), map.total(), weight.k, bytes);
}

}  // namespace krait::cpu
