#pragma once

#include "kernels/cpu/isa/gemm_kernel.h"
#include "kernels/cpu/isa/quantized_panel.h"

/// Products of float rows with quantised weights: each weight becomes its float32 value, which is exact, and the sums
/// are those of float32 weights, bit for bit. Few rows do that in registers; many once for all of them.
namespace krait::cpu {
namespace {

/// kRows x (16 kPanels) outputs over whole blocks from k = 0 on.
template <typename V, typename Weights, int kRows, int kPanels>
void quantized_tile(const float* a, Index a_stride, const QuantizedPanel* panels, Index group_blocks, Index blocks,
                    float* c) {
  constexpr Index kStride = kGemmGroupPanels * kLanes;
  typename V::F acc[kRows][kPanels];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) acc[r][p] = V::zero();
  }
  Index group = 0;
  Index left = group_blocks;
  for (Index block = 0; block < blocks; ++block) {
    typename V::F scale[kPanels];
    typename V::F offset[kPanels];
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) {
      scale[p] = group_scale<V>(panels[p], group);
      offset[p] = Weights::offset(panels[p], group, scale[p]);
    }
    const float* x = a + block * kQuantBlock;
    const Index first = block * Weights::kBlockBytes;
    for (Index at = first; at < first + Weights::kBlockBytes; at += 4 * kLanes, x += Weights::kSteps) {
      typename V::I word[kPanels];
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) word[p] = V::load_words(panels[p].data + at);
      for_steps<Weights::kSteps>([&](auto step) {
        typename V::F w[kPanels];
#pragma GCC unroll 4
        for (int p = 0; p < kPanels; ++p) w[p] = Weights::value(word[p], scale[p], offset[p], step);
#pragma GCC unroll 12
        for (int r = 0; r < kRows; ++r) {
          const auto value = V::set1(x[r * a_stride + step.value]);
#pragma GCC unroll 4
          for (int p = 0; p < kPanels; ++p) acc[r][p] = V::fma(value, w[p], acc[r][p]);
        }
      });
    }
    if (--left == 0) {
      left = group_blocks;
      ++group;
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) V::store(c + r * kStride + p * kLanes, acc[r][p]);
  }
}

template <typename V, typename Weights, int kRows>
void quantized_tile_of(Index rows, const float* a, Index a_stride, const QuantizedPanel* panels, Index group_blocks,
                       Index blocks, float* c) {
  if constexpr (kRows > 1) {
    if (rows < kRows) {
      return quantized_tile_of<V, Weights, kRows - 1>(rows, a, a_stride, panels, group_blocks, blocks, c);
    }
  }
  quantized_tile<V, Weights, kRows, 1>(a, a_stride, panels, group_blocks, blocks, c);
}

/// Weights go from packed form to float32 and into the sums at once.
template <typename V, typename Weights>
void quantized_few_rows(const GemmArgs& args, const GemmUnit& unit, float* c, float* expanded) {
  const Index rows = unit.row_end - unit.row_begin;
  const Index panels = unit.panel_end - unit.panel_begin;
  const Index group_blocks = args.weight.quantized.group / kQuantBlock;
  const Index blocks = args.weight.k / kQuantBlock;
  const Index rest = args.weight.k % kQuantBlock;
  const float* a = args.x.data + unit.row_begin * args.x.stride;
  QuantizedPanel parts[kGemmGroupPanels];
  for (Index p = 0; p < panels; ++p) parts[p] = quantized_panel(args.weight, unit.panel_begin + p);
  Index panel = 0;
  if (rows == 1) {
    for (; panel + 2 <= panels; panel += 2) {
      quantized_tile<V, Weights, 1, 2>(a, args.x.stride, parts + panel, group_blocks, blocks, c + panel * kLanes);
    }
  }
  for (; panel < panels; ++panel) {
    quantized_tile_of<V, Weights, V::kQuantizedRows>(rows, a, args.x.stride, parts + panel, group_blocks, blocks,
                                                     c + panel * kLanes);
  }
  if (rest == 0) return;
  for (Index p = 0; p < panels; ++p) {
    expand_blocks<V, Weights>(parts[p], group_blocks, blocks, 1, expanded + p * kGemmDepthBlock * kLanes);
  }
  gemm_block<V, MacFloat32<V>>(a + blocks * kQuantBlock, args.x.stride, rows, expanded, kGemmDepthBlock * kLanes,
                               panels, rest, c, false);
}

template <typename V, typename Weights>
void quantized_unit(const GemmArgs& args, const GemmUnit& unit, float* scratch) {
  const Index rows = unit.row_end - unit.row_begin;
  const Index panels = unit.panel_end - unit.panel_begin;
  const Index group_blocks = args.weight.quantized.group / kQuantBlock;
  float* c = scratch;
  float* expanded = scratch + kGemmRowBlock * kGemmGroupPanels * kLanes;
  if (rows <= V::kQuantizedRows) {
    quantized_few_rows<V, Weights>(args, unit, c, expanded);
    return gemm_epilogue<V>(args, unit, c);
  }
  const float* a = args.x.data + unit.row_begin * args.x.stride;
  for (Index k = 0; k == 0 || k < args.weight.k; k += kGemmDepthBlock) {
    const Index count = smaller(kGemmDepthBlock, args.weight.k - k);
    for (Index p = 0; p < panels; ++p) {
      expand_blocks<V, Weights>(quantized_panel(args.weight, unit.panel_begin + p), group_blocks, k / kQuantBlock,
                                round_up(count, kQuantBlock) / kQuantBlock, expanded + p * kGemmDepthBlock * kLanes);
    }
    gemm_block<V, MacFloat32<V>>(a + k, args.x.stride, rows, expanded, kGemmDepthBlock * kLanes, panels, count, c,
                                 k == 0);
  }
  gemm_epilogue<V>(args, unit, c);
}

template <typename V>
void gemm_quantized(const GemmArgs& args, const GemmUnit& unit, float* scratch) {
  if (args.weight.layout == WeightLayout::kInt4) {
    quantized_unit<V, Int4Weights<V>>(args, unit, scratch);
  } else {
    quantized_unit<V, Int8Weights<V>>(args, unit, scratch);
  }
}

/// One column of a panel as `out[k]`.
template <typename V>
void read_column(const PanelWeight& weight, Index column, float multiplier, float* out) {
  const QuantizedPanel panel = quantized_panel(weight, column / kLanes);
  const Index lane = column % kLanes;
  const bool int4 = weight.layout == WeightLayout::kInt4;
  const auto* words = reinterpret_cast<const std::uint8_t*>(panel.data) + 4 * lane;
  for (Index first = 0; first < weight.k; first += weight.quantized.group) {
    float scales[kLanes];
    float zeros[kLanes];
    V::store(scales, group_scale<V>(panel, first / weight.quantized.group));
    V::store(zeros, group_zero<V>(panel, first / weight.quantized.group));
    for (Index k = first; k < smaller(first + weight.quantized.group, weight.k); ++k) {
      float q = 0.0F;
      if (int4) {
        const int byte = words[k / 8 * (4 * kLanes) + k % 4];
        q = static_cast<float>(k % 8 < 4 ? byte & 15 : byte >> 4) - zeros[lane];
      } else {
        q = static_cast<float>(static_cast<std::int8_t>(words[k / 4 * (4 * kLanes) + k % 4]));
      }
      out[k] = multiplier * (q * scales[lane]);
    }
  }
}

template <typename V>
void quantized_embedding(const QuantizedEmbeddingKernelArgs& args, Index begin, Index end) {
  for (Index t = begin; t < end; ++t) {
    read_column<V>(args.table, args.ids[t], args.multiplier, args.out.data + t * args.out.stride);
  }
}

}  // namespace
}  // namespace krait::cpu
