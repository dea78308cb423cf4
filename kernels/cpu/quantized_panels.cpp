#include "kernels/cpu/quantized_panels.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/cpu_memory.h"
#include "kernels/thread_pool.h"

namespace krait::cpu {
namespace {

Index round_up_to(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }

/// One column of the rank's part as floats, `step` apart.
void read_column(const Part& part, Index row, float* to, Index step) {
  const Index first = (part.row_begin + row) * part.view.row_stride + part.column_begin;
  if (part.view.dtype == DType::kBFloat16) {
    const auto* from = part.view.as<const std::uint16_t>() + first;
    for (Index k = 0; k < part.columns; ++k) to[k * step] = bfloat16_to_float(from[k]);
  } else {
    for (Index k = 0; k < part.columns; ++k) to[k * step] = part.at(row, k);
  }
}

}  // namespace

QuantizedForm quantized_form(WeightLayout layout, Index k, int group_size, const Shard& shard) {
  if (group_size < kQuantBlock || group_size % kQuantBlock != 0) {
    refuse_weight("its groups have " + std::to_string(group_size) + " inputs; valid are multiples of 32.");
  }
  if (shard.axis == Shard::Axis::kInput && shard.size > 1 && k % group_size != 0) {
    refuse_weight("a shard of " + std::to_string(k) + " inputs cuts the groups of " + std::to_string(group_size) +
                  " that share a scale.");
  }
  const Index blocks = round_up_to(k, kQuantBlock) / kQuantBlock;
  const Index groups = (k + group_size - 1) / group_size;
  const Index block_bytes = kQuantBlock * kLanes / (layout == WeightLayout::kInt4 ? 2 : 1);
  QuantizedForm form;
  form.group = group_size;
  form.zeros = kLanes * static_cast<Index>(sizeof(float)) + groups * kLanes * 2;
  form.data = round_up_to(form.zeros, 64);
  form.panel_bytes = form.data + blocks * block_bytes;
  return form;
}

Buffer quantize_panels(const ColumnMap& map, WeightLayout layout, const QuantizedForm& form, Index k,
                       const KernelTable& kernels, ThreadPool& pool) {
  Buffer buffer = allocate_buffer(static_cast<std::size_t>(form.panel_bytes * map.panels()));
  auto* base = static_cast<std::byte*>(buffer.data.get());
  const Index depth = round_up_to(k, kQuantBlock);
  std::vector<std::vector<float>> columns(static_cast<std::size_t>(pool.size()));
  for (std::vector<float>& worker : columns) worker.resize(static_cast<std::size_t>(depth * kLanes));
  pool.parallel_for(map.panels(), [&](Index begin, Index end, int worker) {
    std::vector<float>& floats = columns[static_cast<std::size_t>(worker)];
    for (Index panel = begin; panel < end; ++panel) {
      std::fill(floats.begin(), floats.end(), 0.0F);
      for (Index lane = 0; lane < kLanes; ++lane) {
        const auto [part, row] = map.column(panel * kLanes + lane);
        if (part != nullptr) read_column(*part, row, floats.data() + lane, kLanes);
      }
      std::byte* to = base + panel * form.panel_bytes;
      std::fill(to, to + form.data, std::byte{0});
      kernels.quantize_panel(floats.data(), depth, layout, form, to);
    }
  });
  return buffer;
}

}  // namespace krait::cpu
