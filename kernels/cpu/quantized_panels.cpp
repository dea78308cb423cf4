#include "kernels/cpu/quantized_panels.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/cpu/cpu_memory.h"
#include "kernels/cpu/interleave.h"
#include "kernels/cpu/numa_memory.h"
#include "kernels/thread_pool.h"

namespace krait::cpu {
namespace {

Index round_up_to(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }

/// Writes the scales and zero points of one row into lane `lane` of a panel.
void copy_scales(const WeightPart& part, Index row, const QuantizedForm& form, std::byte* panel, Index lane) {
  const QuantizedPart& source = *part.quantized;
  const Index all_groups = (source.columns + form.group - 1) / form.group;
  const Index first = (part.row_begin + row) * all_groups + part.column_begin / form.group;
  const Index groups = (part.columns + form.group - 1) / form.group;
  const float unit = scale_unit(source.scales + first, groups);
  reinterpret_cast<float*>(panel)[lane] = unit;
  auto* scales = reinterpret_cast<std::uint16_t*>(panel + kLanes * sizeof(float));
  auto* zeros = reinterpret_cast<std::uint16_t*>(panel + form.zeros);
  for (Index g = 0; g < groups; ++g) {
    scales[g * kLanes + lane] = float_to_float16(source.scales[first + g] / unit);
    if (!form.has_zeros) continue;
    const float zero = source.zeros == nullptr ? 8.0F : static_cast<float>(source.zeros[first + g]);
    zeros[g * kLanes + lane] = float_to_float16(zero);
  }
}

/// Sixteen rows of the parts' values as a panel has them, before they are interleaved.
class QuantizedColumns {
 public:
  QuantizedColumns(const ColumnMap& map, WeightLayout layout, Index depth)
      : map_(&map),
        layout_(layout),
        row_bytes_(layout == WeightLayout::kInt4 ? depth / 2 : depth),
        zeros_(static_cast<std::size_t>(row_bytes_)),
        padded_(static_cast<std::size_t>(depth)),
        packed_(static_cast<std::size_t>(kLanes * row_bytes_)) {}

  const PanelRows& read(Index panel) {
    const Index first = panel * kLanes;
    rows_.fill(zeros_.data());
    for (Index lane = 0, count = 1; lane < kLanes; lane += count) {
      const auto [part, row] = map_->column(first + lane);
      count = 1;
      if (part == nullptr) continue;
      while (lane + count < kLanes && map_->column(first + lane + count) == std::pair{part, row + count}) ++count;
      const Index columns = part->quantized->columns;
      values_.resize(static_cast<std::size_t>(count * columns));
      part->quantized->read_rows(part->row_begin + row, count, values_.data());
      for (Index i = 0; i < count; ++i) {
        pack_row(values_.data() + i * columns + part->column_begin, part->columns, lane + i);
      }
    }
    return rows_;
  }
  [[nodiscard]] Index words() const { return row_bytes_ / 4; }

 private:
  void pack_row(const std::int8_t* values, Index count, Index lane) {
    std::byte* to = packed_.data() + lane * row_bytes_;
    rows_[static_cast<std::size_t>(lane)] = to;
    std::memcpy(padded_.data(), values, static_cast<std::size_t>(count));
    if (layout_ == WeightLayout::kInt8) {
      std::memcpy(to, padded_.data(), padded_.size());
      return;
    }
    // Of eight values the first four are the lower halves of a word's bytes.
    for (Index word = 0; word < words(); ++word) {
      std::uint32_t low = 0;
      std::uint32_t high = 0;
      std::memcpy(&low, padded_.data() + 8 * word, sizeof(low));
      std::memcpy(&high, padded_.data() + 8 * word + 4, sizeof(high));
      const std::uint32_t both = (low & 0x0f0f0f0fU) | (high & 0x0f0f0f0fU) << 4U;
      std::memcpy(to + 4 * word, &both, sizeof(both));
    }
  }

  const ColumnMap* map_;
  WeightLayout layout_;
  Index row_bytes_;
  std::vector<std::byte> zeros_;
  std::vector<std::int8_t> padded_;  ///< zero behind the row: all rows of a weight have one length
  std::vector<std::byte> packed_;
  std::vector<std::int8_t> values_;
  PanelRows rows_{};
};

}  // namespace

QuantizedForm quantized_form(WeightLayout layout, Index k, int group_size, bool has_zeros, const Shard& shard) {
  check_groups(group_size, k, shard);
  const Index blocks = round_up_to(k, kQuantBlock) / kQuantBlock;
  const Index groups = (k + group_size - 1) / group_size;
  const Index block_bytes = kQuantBlock * kLanes / (layout == WeightLayout::kInt4 ? 2 : 1);
  QuantizedForm form;
  form.group = group_size;
  form.zeros = kLanes * static_cast<Index>(sizeof(float)) + groups * kLanes * 2;
  form.has_zeros = has_zeros;
  form.data = round_up_to(form.zeros + (has_zeros ? groups * kLanes * 2 : 0), 64);
  form.panel_bytes = form.data + blocks * block_bytes;
  return form;
}

Buffer quantize_panels(const ColumnMap& map, WeightLayout layout, const QuantizedForm& form, Index k,
                       const KernelTable& kernels, ThreadPool& pool) {
  Buffer buffer = allocate_streamed(static_cast<std::size_t>(form.panel_bytes * map.panels()), pool);
  auto* base = static_cast<std::byte*>(buffer.data.get());
  const Index depth = round_up_to(k, kQuantBlock);
  // A worker's rows, one of zeros, and the same side by side.
  const std::size_t row_floats = static_cast<std::size_t>(depth);
  std::vector<std::vector<float>> memory(static_cast<std::size_t>(pool.size()));
  for (std::vector<float>& worker : memory) worker.resize((2 * kLanes + 1) * row_floats);
  pool.parallel_for(map.panels(), [&](Index begin, Index end, int worker) {
    float* floats = memory[static_cast<std::size_t>(worker)].data();
    const float* zeros = floats + kLanes * depth;
    float* panel_floats = floats + (kLanes + 1) * depth;
    for (Index panel = begin; panel < end; ++panel) {
      PanelRows rows;
      for (Index lane = 0; lane < kLanes; ++lane) {
        const auto [part, row] = map.column(panel * kLanes + lane);
        if (part != nullptr) part->read_row(row, floats + lane * depth);
        rows[static_cast<std::size_t>(lane)] =
            reinterpret_cast<const std::byte*>(part == nullptr ? zeros : floats + lane * depth);
      }
      interleave<std::uint32_t>(rows, depth, reinterpret_cast<std::byte*>(panel_floats));
      std::byte* to = base + panel * form.panel_bytes;
      std::fill(to, to + form.data, std::byte{0});
      kernels.quantize_panel(panel_floats, depth, layout, form, to);
    }
  });
  return buffer;
}

Buffer copy_quantized_panels(const ColumnMap& map, WeightLayout layout, const QuantizedForm& form, Index k,
                             ThreadPool& pool) {
  Buffer buffer = allocate_streamed(static_cast<std::size_t>(form.panel_bytes * map.panels()), pool);
  auto* base = static_cast<std::byte*>(buffer.data.get());
  std::vector<QuantizedColumns> columns(static_cast<std::size_t>(pool.size()),
                                        QuantizedColumns(map, layout, round_up_to(k, kQuantBlock)));
  pool.parallel_for(map.panels(), [&](Index begin, Index end, int worker) {
    QuantizedColumns& own = columns[static_cast<std::size_t>(worker)];
    for (Index panel = begin; panel < end; ++panel) {
      std::byte* to = base + panel * form.panel_bytes;
      std::fill(to, to + form.data, std::byte{0});
      for (Index lane = 0; lane < kLanes; ++lane) {
        const auto [part, row] = map.column(panel * kLanes + lane);
        if (part != nullptr) copy_scales(*part, row, form, to, lane);
      }
      interleave<std::uint32_t>(own.read(panel), own.words(), to + form.data);
    }
  });
  return buffer;
}

}  // namespace krait::cpu
