#include "kernels/quantize_rows.h"

#include <algorithm>

#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/quantized_panels.h"
#include "kernels/result.h"
#include "kernels/thread_pool.h"

namespace krait {
namespace {

using cpu::Index;
using cpu::kLanes;

/// Lane `lane` of a packed panel as a row.
void read_lane(const std::byte* panel, Index lane, Quantization form, const cpu::QuantizedForm& layout, Index columns,
               std::int8_t* values, float* scales) {
  const float unit = reinterpret_cast<const float*>(panel)[lane];
  const auto* halves = reinterpret_cast<const std::uint16_t*>(panel + kLanes * sizeof(float));
  for (Index g = 0; g * layout.group < columns; ++g) scales[g] = float16_to_float(halves[g * kLanes + lane]) * unit;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(panel + layout.data) + 4 * lane;
  for (Index k = 0; k < columns; ++k) {
    if (form == Quantization::kInt8) {
      values[k] = static_cast<std::int8_t>(bytes[k / 4 * (4 * kLanes) + k % 4]);
    } else {
      const int byte = bytes[k / 8 * (4 * kLanes) + k % 4];
      values[k] = static_cast<std::int8_t>(k % 8 < 4 ? byte & 15 : byte >> 4);
    }
  }
}

}  // namespace

QuantizedRows quantize_rows(const TensorView& matrix, Quantization form, int group_size, ThreadPool& pool) {
  if (form == Quantization::kNone) KRAIT_BUG("rows quantised to no form");
  const auto layout = form == Quantization::kInt4 ? cpu::WeightLayout::kInt4 : cpu::WeightLayout::kInt8;
  const WeightSource source{.parts = {matrix}, .biases = {}};
  const std::vector<WeightPart> parts = shard_parts(source, {}, {});
  const cpu::ColumnMap map(parts, false);
  const Index rows = matrix.rows();
  const Index columns = matrix.columns();
  const cpu::QuantizedForm panels = cpu::quantized_form(layout, columns, group_size, false, {});
  const cpu::Isa isa = cpu::choose_isa("auto", cpu::detect_cpu_features());
  const Buffer packed = cpu::quantize_panels(map, layout, panels, columns, isa.kernels, pool);
  const auto* base = static_cast<const std::byte*>(packed.data.get());
  const Index groups = (columns + group_size - 1) / group_size;
  QuantizedRows out;
  out.values.resize(static_cast<std::size_t>(rows * columns));
  out.scales.resize(static_cast<std::size_t>(rows * groups));
  pool.parallel_for(rows, [&](Index begin, Index end, int) {
    for (Index row = begin; row < end; ++row) {
      read_lane(base + row / kLanes * panels.panel_bytes, row % kLanes, form, panels, columns,
                out.values.data() + row * columns, out.scales.data() + row * groups);
    }
  });
  return out;
}

}  // namespace krait
