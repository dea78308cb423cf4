#pragma once

#include "kernels/cpu/isa/gemm_epilogue.h"
#include "kernels/cpu/isa/int8_rounding.h"
#include "kernels/cpu/isa/quantized_panel.h"

/// Products of rows rounded to int8 with quantised weights. Each block of 32 k is one exact integer; a sum is one chain
/// of float32 fused multiply-adds from +0 on, sum = fma(block, scale of the weights' group, sum), in the order of the
/// blocks, and is multiplied by the row's scale at the end. So bits depend neither on tiles nor on the instruction set.
namespace krait::cpu {
namespace {

/// k that a panel is read for before the next rows: what stays in the first cache.
inline constexpr Index kInt8DepthBlock = 1024;

template <typename V>
typename V::I four_bytes(const std::int8_t* p) {
  std::int32_t word;
  __builtin_memcpy(&word, p, sizeof(word));
  return V::iset1(word);
}

/// Adds blocks [first, first + blocks), `first` at the start of a group, to kRows x (16 kPanels) sums.
template <typename V, typename Weights, int kRows, int kPanels>
void int8_tile(const Int8Rows& x, const std::int8_t* a, const QuantizedPanel* panels, Index group_blocks, Index first,
               Index blocks, float* c) {
  constexpr Index kStride = kGemmGroupPanels * kLanes;
  constexpr bool kInt4 = Weights::kSteps == 8;
  const Index stride = x.stride;
  Index group = first / group_blocks;
  Index left = group_blocks;
  for (Index block = first; block < first + blocks; ++block) {
    typename V::I acc[kRows][kPanels];
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (int p = 0; p < kPanels; ++p) acc[r][p] = V::iset1(0);
    }
    const std::int8_t* bytes = a + block * kQuantBlock;
    const Index data = block * Weights::kBlockBytes;
#pragma GCC unroll 8
    for (Index at = 0; at < Weights::kBlockBytes; at += 4 * kLanes) {
      const std::int8_t* four = bytes + at / (4 * kLanes) * Weights::kSteps;
      typename V::I w[kPanels];
#pragma GCC unroll 2
      for (int p = 0; p < kPanels; ++p) {
        const std::int8_t* words = panels[p].data + data + at;
        // One row waits for memory alone: the same place of the panels after these, which are the next to be read.
        if constexpr (kRows == 1 && kPanels == 2) __builtin_prefetch(words + 2 * (panels[1].data - panels[0].data));
        w[p] = V::load_words(words);
      }
      if constexpr (kInt4) {
        const auto mask = V::iset1(0x0f0f0f0f);
        typename V::I part[kPanels];
#pragma GCC unroll 2
        for (int p = 0; p < kPanels; ++p) part[p] = V::iand(w[p], mask);
#pragma GCC unroll 12
        for (int r = 0; r < kRows; ++r) {
          const auto value = four_bytes<V>(four + r * stride);
#pragma GCC unroll 2
          for (int p = 0; p < kPanels; ++p) acc[r][p] = V::dot_nibbles(acc[r][p], part[p], value);
        }
#pragma GCC unroll 2
        for (int p = 0; p < kPanels; ++p) part[p] = V::iand(V::template sar<4>(w[p]), mask);
#pragma GCC unroll 12
        for (int r = 0; r < kRows; ++r) {
          const auto value = four_bytes<V>(four + 4 + r * x.stride);
#pragma GCC unroll 2
          for (int p = 0; p < kPanels; ++p) acc[r][p] = V::dot_nibbles(acc[r][p], part[p], value);
        }
      } else {
#pragma GCC unroll 2
        for (int p = 0; p < kPanels; ++p) w[p] = V::weight_bytes(w[p]);
#pragma GCC unroll 12
        for (int r = 0; r < kRows; ++r) {
          const auto value = four_bytes<V>(four + r * x.stride);
#pragma GCC unroll 2
          for (int p = 0; p < kPanels; ++p) acc[r][p] = V::dot_bytes(acc[r][p], w[p], value);
        }
      }
    }
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p) {
      const auto scale = group_scale<V>(panels[p], group);
      // Weights that are larger by an offset made the block larger by it times the sum of x: all of them integers below
      // 2^24 (32 * 255 * 127 at most), exact in float32.
      const auto offset = V::neg(kInt4 ? group_zero<V>(panels[p], group) : V::set1(V::kBytesOffset));
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) {
        auto sum = V::to_float(kInt4 ? V::sum_nibbles(acc[r][p]) : acc[r][p]);
        if (kInt4 || V::kBytesOffset != 0.0F) {
          const auto* sums = reinterpret_cast<const float*>(a + r * x.stride + x.depth);
          sum = V::fma(V::set1(sums[block]), offset, sum);
        }
        float* to = c + r * kStride + p * kLanes;
        V::store(to, V::fma(sum, scale, V::load(to)));
      }
    }
    if (--left == 0) {
      left = group_blocks;
      ++group;
    }
  }
}

template <typename V, typename Weights, int kRows>
void int8_tile_of(Index rows, const Int8Rows& x, const std::int8_t* a, const QuantizedPanel* panels, Index group_blocks,
                  Index first, Index blocks, float* c) {
  if constexpr (kRows > 1) {
    if (rows < kRows) {
      return int8_tile_of<V, Weights, kRows - 1>(rows, x, a, panels, group_blocks, first, blocks, c);
    }
  }
  int8_tile<V, Weights, kRows, 1>(x, a, panels, group_blocks, first, blocks, c);
}

/// The blocks of some panels against all rows of a unit.
template <typename V, typename Weights>
void int8_blocks(const Int8Rows& x, const std::int8_t* a, Index rows, const QuantizedPanel* parts, Index panels,
                 Index group_blocks, Index first, Index blocks, float* c) {
  constexpr Index kStride = kGemmGroupPanels * kLanes;
  Index panel = 0;
  if (rows == 1) {
    for (; panel + 2 <= panels; panel += 2) {
      int8_tile<V, Weights, 1, 2>(x, a, parts + panel, group_blocks, first, blocks, c + panel * kLanes);
    }
  }
  const Index tiles = (rows + V::kQuantizedRows - 1) / V::kQuantizedRows;
  const Index height = (rows + tiles - 1) / tiles;
  for (; panel < panels; ++panel) {
    for (Index row = 0; row < rows; row += height) {
      int8_tile_of<V, Weights, V::kQuantizedRows>(smaller(height, rows - row), x, a + row * x.stride, parts + panel,
                                                  group_blocks, first, blocks, c + row * kStride + panel * kLanes);
    }
  }
}

template <typename V, typename Weights>
void int8_unit(const GemmArgs& args, const GemmUnit& unit, float* c) {
  constexpr Index kStride = kGemmGroupPanels * kLanes;
  const Index rows = unit.row_end - unit.row_begin;
  const Index panels = unit.panel_end - unit.panel_begin;
  const Index group_blocks = args.weight.quantized.group / kQuantBlock;
  const Index blocks = args.x_int8.depth / kQuantBlock;
  const Index at_once = larger(kInt8DepthBlock / kQuantBlock / group_blocks, 1) * group_blocks;
  const std::int8_t* a = args.x_int8.data + unit.row_begin * args.x_int8.stride;
  QuantizedPanel parts[kGemmGroupPanels];
  for (Index p = 0; p < panels; ++p) parts[p] = quantized_panel(args.weight, unit.panel_begin + p);
  for (Index i = 0; i < rows * kStride; i += kLanes) V::store(c + i, V::zero());
  for (Index first = 0; first < blocks; first += at_once) {
    int8_blocks<V, Weights>(args.x_int8, a, rows, parts, panels, group_blocks, first, smaller(at_once, blocks - first),
                            c);
  }
  const Index scale_at = args.x_int8.depth + blocks * Index{sizeof(float)};
  for (Index row = 0; row < rows; ++row) {
    const auto scale = V::set1(*reinterpret_cast<const float*>(a + row * args.x_int8.stride + scale_at));
    float* sums = c + row * kStride;
    for (Index i = 0; i < panels * kLanes; i += kLanes) V::store(sums + i, V::mul(V::load(sums + i), scale));
  }
  gemm_epilogue<V>(args, unit, c);
}

template <typename V>
void gemm_int8(const GemmArgs& args, const GemmUnit& unit, float* scratch) {
  if (args.weight.layout == WeightLayout::kInt4) {
    int8_unit<V, Int4Weights<V>>(args, unit, scratch);
  } else {
    int8_unit<V, Int8Weights<V>>(args, unit, scratch);
  }
}

/// A row as int8, padded with zeros to `depth`, with the sum of each block and the row's scale behind it.
template <typename V>
void int8_row(const float* x, std::int8_t* out, Index n, Index depth) {
  const Int8Rounding rounding = int8_rounding<V>(x, n);
  auto* sums = reinterpret_cast<float*>(out + depth);
  for (Index block = 0; block * kQuantBlock < depth; ++block) {
    auto sum = V::zero();
    for (Index i = block * kQuantBlock; i < (block + 1) * kQuantBlock; i += kLanes) {
      const auto q = round_int8<V>(x + i, lanes_left(i, n), rounding);
      V::store_bytes(out + i, q);
      sum = V::add(sum, V::to_float(q));
    }
    sums[block] = V::reduce_add(sum);
  }
  sums[depth / kQuantBlock] = rounding.scale;
}

}  // namespace
}  // namespace krait::cpu
