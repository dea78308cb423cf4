#include "kernels/cpu/quantized_panels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/cpu_memory.h"
#include "kernels/cpu/interleave.h"
#include "kernels/thread_pool.h"

namespace krait::cpu {
namespace {

Index round_up_to(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }

/// Writes one column of quantised values with its scales into lane `lane` of a panel.
class ColumnCopy {
 public:
  ColumnCopy(const Part& part, Index row, WeightLayout layout, const QuantizedForm& form)
      : part_(part), layout_(layout), form_(form) {
    const QuantizedPart& source = *part.quantized;
    const Index all_groups = (source.columns + form.group - 1) / form.group;
    const Index first = (part.row_begin + row) * all_groups + part.column_begin / form.group;
    groups_ = (part.columns + form.group - 1) / form.group;
    values_ = source.values + (part.row_begin + row) * source.columns + part.column_begin;
    scales_ = source.scales + first;
    if (source.zeros != nullptr) zeros_ = source.zeros + first;
  }

  void write(std::byte* panel, Index lane) const {
    const float unit = column_unit();
    reinterpret_cast<float*>(panel)[lane] = unit;
    auto* scales = reinterpret_cast<std::uint16_t*>(panel + kLanes * sizeof(float));
    auto* zeros = reinterpret_cast<std::uint16_t*>(panel + form_.zeros);
    for (Index g = 0; g < groups_; ++g) {
      scales[g * kLanes + lane] = float_to_float16(scales_[g] / unit);
      if (form_.has_zeros) {
        zeros[g * kLanes + lane] = float_to_float16(zeros_ == nullptr ? 8.0F : static_cast<float>(zeros_[g]));
      }
    }
    auto* bytes = reinterpret_cast<std::uint8_t*>(panel + form_.data) + 4 * lane;
    for (Index k = 0; k < part_.columns; ++k) {
      const auto value = static_cast<std::uint8_t>(values_[k]);
      if (layout_ == WeightLayout::kInt8) {
        bytes[k / 4 * (4 * kLanes) + k % 4] = value;
      } else {
        std::uint8_t& byte = bytes[k / 8 * (4 * kLanes) + k % 4];
        byte = static_cast<std::uint8_t>(byte | (value & 15U) << (k % 8 < 4 ? 0U : 4U));
      }
    }
  }

 private:
  /// A power of two by which float16 holds the scales well; NaN where one of them is no number.
  [[nodiscard]] float column_unit() const {
    float largest = 0.0F;
    for (Index g = 0; g < groups_; ++g) {
      if (!std::isfinite(scales_[g])) return std::numeric_limits<float>::quiet_NaN();
      largest = std::max(largest, std::abs(scales_[g]));
    }
    return largest == 0.0F ? 1.0F : std::ldexp(1.0F, std::max(std::ilogb(largest) - 14, -126));
  }

  const Part& part_;
  WeightLayout layout_;
  const QuantizedForm& form_;
  Index groups_ = 0;
  const std::int8_t* values_ = nullptr;
  const float* scales_ = nullptr;
  const std::uint8_t* zeros_ = nullptr;
};

}  // namespace

QuantizedForm quantized_form(WeightLayout layout, Index k, int group_size, bool has_zeros, const Shard& shard) {
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
  form.has_zeros = has_zeros;
  form.data = round_up_to(form.zeros + (has_zeros ? groups * kLanes * 2 : 0), 64);
  form.panel_bytes = form.data + blocks * block_bytes;
  return form;
}

Buffer quantize_panels(const ColumnMap& map, WeightLayout layout, const QuantizedForm& form, Index k,
                       const KernelTable& kernels, ThreadPool& pool) {
  Buffer buffer = allocate_buffer(static_cast<std::size_t>(form.panel_bytes * map.panels()));
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

Buffer copy_quantized_panels(const ColumnMap& map, WeightLayout layout, const QuantizedForm& form, ThreadPool& pool) {
  Buffer buffer = allocate_buffer(static_cast<std::size_t>(form.panel_bytes * map.panels()));
  auto* base = static_cast<std::byte*>(buffer.data.get());
  pool.parallel_for(map.panels(), [&](Index begin, Index end, int) {
    std::fill(base + begin * form.panel_bytes, base + end * form.panel_bytes, std::byte{0});
    for (Index index = begin * kLanes; index < end * kLanes; ++index) {
      const auto [part, row] = map.column(index);
      if (part == nullptr) continue;
      ColumnCopy(*part, row, layout, form).write(base + index / kLanes * form.panel_bytes, index % kLanes);
    }
  });
  return buffer;
}

}  // namespace krait::cpu
