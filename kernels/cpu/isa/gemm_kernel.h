#pragma once

#include "kernels/cpu/isa/convert.h"
#include "kernels/cpu/isa/gemm_epilogue.h"

/// y = epilogue(x W^T). Each output is one accumulator that starts at +0 and takes one fused multiply-add for each k,
/// in order, whatever the shape of the tile around it: that is the whole of the promise that rows, threads and blocks
/// change no bit. Depth is cut into blocks only where accumulators rest in float32 memory meanwhile, which is exact.
namespace krait::cpu {
namespace {

/// How one step along k is done: what is broadcast from x, what is streamed from the panel.
template <typename V>
struct MacFloat32 {
  using A = float;
  using B = float;
  static constexpr bool kExpands = false;
  static typename V::F broadcast(float a) { return V::set1(a); }
  static typename V::F weights(const float* p) { return V::load(p); }
  static typename V::F mac(typename V::F a, typename V::F b, typename V::F c) { return V::fma(a, b, c); }
};

template <typename V>
struct MacBFloat16 {
  using A = float;
  using B = std::uint16_t;
  static constexpr bool kExpands = true;
  static typename V::F broadcast(float a) { return V::set1(a); }
  static typename V::F weights(const std::uint16_t* p) { return V::load_bf16(p); }
  static typename V::F mac(typename V::F a, typename V::F b, typename V::F c) { return V::fma(a, b, c); }
};

/// A tile of kRows x (16 kVectors) outputs over `depth` steps. `c` holds the accumulators before (unless `first`) and
/// after.
template <typename V, typename Mac, int kRows, int kVectors>
void gemm_tile(const typename Mac::A* a, Index a_stride, const typename Mac::B* b, Index panel_stride, Index depth,
               float* c, Index c_stride, bool first) {
  typename V::F acc[kRows][kVectors];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) acc[r][v] = first ? V::zero() : V::load(c + r * c_stride + v * kLanes);
  }
  for (Index k = 0; k < depth; ++k) {
    decltype(Mac::weights(b)) w[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) w[v] = Mac::weights(b + v * panel_stride + k * Index{kLanes});
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const auto x = Mac::broadcast(a[r * a_stride + k]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[r][v] = Mac::mac(x, w[v], acc[r][v]);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) V::store(c + r * c_stride + v * kLanes, acc[r][v]);
  }
}

template <typename V, typename Mac>
using TileFn = void (*)(const typename Mac::A*, Index, const typename Mac::B*, Index, Index, float*, Index, bool);

/// The tile for `rows` rows. Few rows leave registers for more panels side by side, which hides the latency of the
/// additions.
template <typename V, typename Mac, int kVectors>
TileFn<V, Mac> tile_for(Index rows) {
  static constexpr int kMax = V::kGemmRows;
  switch (rows) {
    case 1:
      return gemm_tile<V, Mac, 1, kVectors>;
    case 2:
      return gemm_tile<V, Mac, 2, kVectors>;
    case 3:
      return gemm_tile<V, Mac, 3, kVectors>;
    case 4:
      return gemm_tile<V, Mac, 4, kVectors>;
    case 5:
      return gemm_tile < V, Mac, kMax >= 5 ? 5 : 1, kVectors > ;
    case 6:
      return gemm_tile < V, Mac, kMax >= 6 ? 6 : 1, kVectors > ;
    case 7:
      return gemm_tile < V, Mac, kMax >= 7 ? 7 : 1, kVectors > ;
    case 8:
      return gemm_tile < V, Mac, kMax >= 8 ? 8 : 1, kVectors > ;
    case 9:
      return gemm_tile < V, Mac, kMax >= 9 ? 9 : 1, kVectors > ;
    case 10:
      return gemm_tile < V, Mac, kMax >= 10 ? 10 : 1, kVectors > ;
    case 11:
      return gemm_tile < V, Mac, kMax >= 11 ? 11 : 1, kVectors > ;
    default:
      return gemm_tile<V, Mac, kMax, kVectors>;
  }
}

/// One depth block of a group of panels against `rows` rows, accumulating in `c` [rows, kGemmGroupPanels * 16].
template <typename V, typename Mac>
void gemm_block(const typename Mac::A* a, Index a_stride, Index rows, const typename Mac::B* b, Index panel_stride,
                Index panels, Index depth, float* c, bool first) {
  constexpr Index kStride = kGemmGroupPanels * kLanes;
  // Tiles of even height: 8 rows run faster as 4 + 4 than as 6 + 2.
  const Index tiles = (rows + V::kGemmRows - 1) / V::kGemmRows;
  const Index even = (rows + tiles - 1) / tiles;
  Index panel = 0;
  const auto advance = [&](auto pick, Index tile_rows, Index width) {
    for (; panel + width <= panels; panel += width) {
      for (Index row = 0; row < rows; row += tile_rows) {
        const Index count = smaller(tile_rows, rows - row);
        pick(count)(a + row * a_stride, a_stride, b + panel * panel_stride, panel_stride, depth,
                    c + row * kStride + panel * kLanes, kStride, first);
      }
    }
  };
  if (rows == 1) {
    advance([](Index) { return TileFn<V, Mac>(gemm_tile<V, Mac, 1, 4>); }, 1, 4);
  } else if (rows <= 2 || (rows == 3 && V::kRegisters < 32)) {
    advance([](Index n) { return n == 2 ? TileFn<V, Mac>(gemm_tile<V, Mac, 2, 2>) : gemm_tile<V, Mac, 3, 2>; }, rows,
            2);
  } else {
    advance([](Index n) { return tile_for<V, Mac, V::kGemmVectors>(n); }, even, V::kGemmVectors);
  }
  advance([](Index n) { return tile_for<V, Mac, 1>(n); }, even, 1);
}

/// Expands a depth block of bf16 panels to float32, so that the tiles do not do it once for every few rows.
template <typename V>
void expand_panels(const std::uint16_t* b, Index panel_stride, Index panels, Index depth, float* out) {
  for (Index panel = 0; panel < panels; ++panel) {
    const std::uint16_t* from = b + panel * panel_stride;
    float* to = out + panel * kGemmDepthBlock * kLanes;
    for (Index i = 0; i < depth * kLanes; i += kLanes) V::store(to + i, V::load_bf16(from + i));
  }
}

/// One unit: all of the depth for up to kGemmRowBlock rows and kGemmGroupPanels panels, then the epilogue.
template <typename V, typename Mac>
void gemm_unit(const GemmArgs& args, const GemmUnit& unit, const typename Mac::A* x, Index x_stride, Index depth,
               float* scratch) {
  const Index rows = unit.row_end - unit.row_begin;
  const Index panels = unit.panel_end - unit.panel_begin;
  const Index panel_stride = depth * kLanes;
  const auto* b = reinterpret_cast<const typename Mac::B*>(args.weight.panels) + unit.panel_begin * panel_stride;
  const auto* a = x + unit.row_begin * x_stride;
  float* c = scratch;
  float* expanded = scratch + kGemmRowBlock * kGemmGroupPanels * kLanes;
  // For some rows, expanding in registers costs less than a pass of its own; few take all of the depth at once, which
  // is what the second level of caches holds.
  const bool expand = rows > 8 * V::kGemmRows;
  const bool whole = rows <= 2 * V::kGemmRows || (!expand && rows * depth <= kGemmRowBlock * kGemmDepthBlock);
  const Index block = whole ? larger(depth, 1) : kGemmDepthBlock;
  for (Index k = 0; k == 0 || k < depth; k += block) {
    const Index count = smaller(block, depth - k);
    if constexpr (Mac::kExpands) {
      if (expand) {
        expand_panels<V>(b + k * kLanes, panel_stride, panels, count, expanded);
        gemm_block<V, MacFloat32<V>>(a + k, x_stride, rows, expanded, kGemmDepthBlock * kLanes, panels, count, c,
                                     k == 0);
        continue;
      }
    }
    gemm_block<V, Mac>(a + k, x_stride, rows, b + k * kLanes, panel_stride, panels, count, c, k == 0);
  }
  gemm_epilogue<V>(args, unit, c);
}

template <typename V>
void gemm(const GemmArgs& args, const GemmUnit& unit, float* scratch) {
  if (args.weight.layout == WeightLayout::kBFloat16) {
    gemm_unit<V, MacBFloat16<V>>(args, unit, args.x.data, args.x.stride, args.weight.k, scratch);
  } else {
    gemm_unit<V, MacFloat32<V>>(args, unit, args.x.data, args.x.stride, args.weight.k, scratch);
  }
}

template <typename V>
void round_row(const float* x, float* out, Index n) {
  for (Index i = 0; i < n; i += kLanes) {
    const int lanes = lanes_left(i, n);
    store<V>(out + i, V::round_bf16(load<V>(x + i, lanes)), lanes);
  }
}

template <typename V>
void pair_row(const float* x, std::uint16_t* out, Index n) {
  for (Index i = 0; i < n; i += kLanes) {
    const int lanes = lanes_left(i, n);
    Stored<V, DType::kBFloat16>::store(out + i, load<V>(x + i, lanes), lanes);
  }
  if (n % 2 != 0) out[n] = 0;
}

}  // namespace
}  // namespace krait::cpu
