#include "kernels/cpu/float_panels.h"

#include <bit>
#include <cstring>

#include "kernels/cpu/cpu_memory.h"
#include "kernels/cpu/interleave.h"
#include "kernels/cpu/numa_memory.h"
#include "kernels/result.h"
#include "kernels/thread_pool.h"

namespace krait::cpu {
namespace {

bool exact_in_bfloat16(const std::vector<WeightPart>& parts) {
  for (const WeightPart& part : parts) {
    if (part.view.dtype == DType::kBFloat16) continue;
    std::vector<float> values(static_cast<std::size_t>(part.columns));
    for (Index row = 0; row < part.rows; ++row) {
      part.read_row(row, values.data());
      for (const float value : values) {
        const float rounded = bfloat16_to_float(float_to_bfloat16(value));
        if (std::bit_cast<std::uint32_t>(value) != std::bit_cast<std::uint32_t>(rounded)) return false;
      }
    }
  }
  return true;
}

Index depth_of(WeightLayout layout, Index k) { return layout == WeightLayout::kBFloat16Pairs ? k + k % 2 : k; }

/// The sixteen columns of a panel in its element type: where the checkpoint has them so, else rounded into a buffer.
class PanelColumns {
 public:
  PanelColumns(WeightLayout layout, Index k)
      : dtype_(layout == WeightLayout::kFloat32 ? DType::kFloat32 : DType::kBFloat16),
        k_(k),
        // A pair's second half is read where k is odd.
        row_bytes_(static_cast<std::size_t>(k + 1) * dtype_size(dtype_)),
        zeros_(row_bytes_),
        converted_(kLanes * row_bytes_),
        floats_(static_cast<std::size_t>(k)) {}

  const PanelRows& read(const ColumnMap& map, Index panel) {
    for (Index lane = 0; lane < kLanes; ++lane) {
      const auto [part, row] = map.column(panel * kLanes + lane);
      rows_[static_cast<std::size_t>(lane)] = part == nullptr ? zeros_.data() : row_of(*part, row, lane);
    }
    return rows_;
  }

 private:
  const std::byte* row_of(const WeightPart& part, Index row, Index lane) {
    const bool whole = k_ % 2 == 0 || dtype_ == DType::kFloat32;
    if (part.view.dtype == dtype_ && whole) return part.row_bytes(row);
    std::byte* to = converted_.data() + static_cast<std::size_t>(lane) * row_bytes_;
    if (part.view.dtype == dtype_) {
      std::memcpy(to, part.row_bytes(row), static_cast<std::size_t>(k_) * dtype_size(dtype_));
    } else {
      part.read_row(row, floats_.data());
      for (std::size_t i = 0; i < floats_.size(); ++i) put(to, i, floats_[i]);
    }
    return to;
  }
  void put(std::byte* to, std::size_t i, float value) const {
    if (dtype_ == DType::kFloat32) {
      std::memcpy(to + i * sizeof(float), &value, sizeof(float));
    } else {
      const std::uint16_t half = float_to_bfloat16(value);
      std::memcpy(to + i * sizeof(half), &half, sizeof(half));
    }
  }

  DType dtype_;
  Index k_;
  std::size_t row_bytes_;
  std::vector<std::byte> zeros_;
  std::vector<std::byte> converted_;
  std::vector<float> floats_;
  PanelRows rows_{};
};

void write_panel(const PanelRows& rows, WeightLayout layout, Index k, std::byte* to) {
  switch (layout) {
    case WeightLayout::kFloat32:
      return interleave<std::uint32_t>(rows, k, to);
    case WeightLayout::kBFloat16:
      return interleave<std::uint16_t>(rows, k, to);
    case WeightLayout::kBFloat16Pairs:
      return interleave<std::uint32_t>(rows, depth_of(layout, k) / 2, to);
    case WeightLayout::kInt8:
    case WeightLayout::kInt4:
      KRAIT_BUG("float panels in a quantised layout");
  }
}

}  // namespace

WeightLayout float_layout(const std::vector<WeightPart>& parts, bool pairs) {
  if (!exact_in_bfloat16(parts)) return WeightLayout::kFloat32;
  return pairs ? WeightLayout::kBFloat16Pairs : WeightLayout::kBFloat16;
}

Index float_panel_bytes(WeightLayout layout, Index k) {
  const Index element = layout == WeightLayout::kFloat32 ? 4 : 2;
  return depth_of(layout, k) * kLanes * element;
}

Buffer pack_float_panels(const ColumnMap& map, WeightLayout layout, Index k, ThreadPool& pool) {
  const Index stride = float_panel_bytes(layout, k);
  Buffer buffer = allocate_streamed(static_cast<std::size_t>(stride * map.panels()), pool);
  auto* base = static_cast<std::byte*>(buffer.data.get());
  std::vector<PanelColumns> columns(static_cast<std::size_t>(pool.size()), PanelColumns(layout, k));
  pool.parallel_for(map.panels(), [&](Index begin, Index end, int worker) {
    for (Index panel = begin; panel < end; ++panel) {
      write_panel(columns[static_cast<std::size_t>(worker)].read(map, panel), layout, k, base + stride * panel);
    }
  });
  return buffer;
}

}  // namespace krait::cpu
