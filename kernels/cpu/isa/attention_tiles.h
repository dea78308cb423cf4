#pragma once

#include "kernels/cpu/isa/attention_rows.h"

/// Many rows against a tile of 16 keys, which is read once and made float32 for all of them.
namespace krait::cpu {
namespace {

/// Rows from number `row` on of a page's K or V part, `dim` elements each, as float32 rows.
template <typename V>
void load_rows(const KvCacheView& cache, const std::byte* part, Index row, Index rows, Index dim, float* out,
               Index width) {
  const Index whole = dim - dim % kLanes;
  if (cache.dtype == DType::kInt8) {
    const auto* from = reinterpret_cast<const std::int8_t*>(part) + row * dim;
    const std::byte* scales = part + cache.kv_heads * cache.block_size * dim;
    for (Index i = 0; i < rows; ++i, from += dim, out += width) {
      float scale = 0.0F;
      __builtin_memcpy(&scale, scales + (row + i) * Index{sizeof(float)}, sizeof(scale));
      const auto factor = V::set1(scale);
      for (Index d = 0; d < whole; d += kLanes) {
        V::store(out + d, V::mul(V::to_float(V::load_bytes(from + d)), factor));
      }
      if (whole == dim) continue;
      std::int8_t last[kLanes] = {};
      for (Index d = whole; d < dim; ++d) last[d - whole] = from[d];
      V::store(out + whole, V::mul(V::to_float(V::load_bytes(last)), factor));
    }
    return;
  }
  with_stored<V>(cache.dtype, [&](auto stored) {
    using Element = typename decltype(stored)::Element;
    const auto* from = reinterpret_cast<const Element*>(part) + row * dim;
    for (Index i = 0; i < rows; ++i, from += dim, out += width) {
      for (Index d = 0; d < whole; d += kLanes) V::store(out + d, stored.load(from + d, kLanes));
      if (whole < dim) V::store(out + whole, stored.load(from + whole, lanes_left(whole, dim)));
    }
  });
}

/// Copies keys or values [first, end) of a tile, `dim` elements each, to float32 rows.
template <typename V>
void load_tile(const AttentionKernelArgs& args, const std::int32_t* pages, Index kv_head, std::size_t offset, Index dim,
               Index tile, Index first, Index end, float* out, Index width) {
  const Index base = tile * kLanes;
  for_page_runs(args.cache, pages, base + first, base + end,
                [&](const std::byte* page, Index slot, Index position, Index rows) {
                  load_rows<V>(args.cache, page + offset, kv_head * args.cache.block_size + slot, rows, dim,
                               out + (position - base) * width, width);
                });
}

/// A tile's rows are one run of a page, the next tile's another's, where the processor's own prefetching does not
/// reach.
inline void prefetch_tile(const AttentionKernelArgs& args, const std::int32_t* pages, Index kv_head, Index first,
                          Index end) {
  const KvCacheView& cache = args.cache;
  const Index element = cache.dtype == DType::kFloat32 ? 4 : cache.dtype == DType::kInt8 ? 1 : 2;
  const auto prefetch = [&](const std::byte* part, Index row, Index rows, Index row_bytes) {
    const std::byte* from = part + row * row_bytes;
    for (Index i = 0; i < rows * row_bytes; i += 64) __builtin_prefetch(from + i);
  };
  for_page_runs(cache, pages, first, end, [&](const std::byte* page, Index slot, Index, Index rows) {
    const Index row = kv_head * cache.block_size + slot;
    prefetch(page, row, rows, cache.head_dim * element);
    if (!value_is_key(cache)) prefetch(page + cache.value_offset, row, rows, cache.value_dim * element);
  });
}

/// q k^T of kRows rows and kKeys keys, a vector accumulator each: scores[r * kLanes + j].
template <typename V, int kRows, int kKeys>
void dot_keys(const float* q, const float* keys, Index width, float* scores) {
  constexpr int kPairs = kRows * kKeys;
  typename V::F acc[kPairs];
#pragma GCC unroll 16
  for (int i = 0; i < kPairs; ++i) acc[i] = V::zero();
  for (Index d = 0; d < width; d += kLanes) {
    typename V::F key[kKeys];
#pragma GCC unroll 4
    for (int j = 0; j < kKeys; ++j) key[j] = V::load(keys + j * width + d);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const auto x = V::load(q + r * width + d);
#pragma GCC unroll 4
      for (int j = 0; j < kKeys; ++j) acc[r * kKeys + j] = V::fma(x, key[j], acc[r * kKeys + j]);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kPairs; i += 4) {
    float sums[4];
    V::reduce_add4(acc[i], acc[i + 1], acc[i + 2], acc[i + 3], sums);
#pragma GCC unroll 4
    for (int lane = 0; lane < 4; ++lane) scores[(i + lane) / kKeys * kLanes + (i + lane) % kKeys] = sums[lane];
  }
}

/// acc = acc * correction + sum over j of p[j] values[j], j in order, for kRows rows and kVectors vectors from the
/// pointers on.
template <typename V, int kRows, int kVectors>
void add_values(float* acc, Index acc_stride, const float* correction, const float* p, const float* values,
                Index stride, Index first, Index end) {
  typename V::F sum[kRows][kVectors];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) {
      sum[r][i] = V::mul(V::load(acc + r * acc_stride + i * kLanes), V::set1(correction[r]));
    }
  }
  for (Index j = first; j < end; ++j) {
    typename V::F value[kVectors];
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) value[i] = V::load(values + j * stride + i * kLanes);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const auto weight = V::set1(p[r * kLanes + j]);
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) sum[r][i] = V::fma(weight, value[i], sum[r][i]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) V::store(acc + r * acc_stride + i * kLanes, sum[r][i]);
  }
}

/// Scores of kRows rows to weights exp(score - max) in place, with the rows' max and sum brought up to date: what they
/// have gathered until now counts `correction` times.
template <typename V, int kRows>
void weigh(const AttentionKernelArgs& args, const RowSums& sums, Index row, Index first, Index end, float* p,
           float* correction) {
  float shrink[kLanes] = {};
  bool higher = false;
  typename V::F weights[kRows];
  for (int r = 0; r < kRows; ++r) {
    float* scores = p + r * kLanes;
    for (Index j = 0; j < first; ++j) scores[j] = -__builtin_inff();
    for (Index j = end; j < kLanes; ++j) scores[j] = -__builtin_inff();
    const auto scaled = scaled_scores<V>(args, V::load(scores));
    const float tile_max = V::reduce_max(scaled);
    const float old_max = sums.max[row + r];
    const float new_max = tile_max > old_max ? tile_max : old_max;
    weights[r] = Math<V>::exp(V::sub(scaled, V::set1(new_max)));
    V::store(scores, weights[r]);
    sums.max[row + r] = new_max;
    correction[r] = 1.0F;
    shrink[r] = old_max - new_max;
    higher = higher || new_max != old_max;
  }
  // The highest score of a row is mostly that of an earlier tile, and exp(0) is 1.
  if (higher) {
    float factors[kLanes];
    V::store(factors, Math<V>::exp(V::load(shrink)));
    for (int r = 0; r < kRows; ++r) correction[r] = factors[r];
  }
  for (int r = 0; r < kRows; ++r) sums.sum[row + r] = sums.sum[row + r] * correction[r] + V::reduce_add(weights[r]);
}

/// Folds keys [first, end) of the loaded tile into kRows rows.
template <typename V, int kRows>
void fold_tile(const AttentionKernelArgs& args, const AttentionScratch& s, const RowSums& sums, Index row, Index first,
               Index end) {
  // What the registers hold as accumulators: four vectors, or sixteen.
  constexpr int kKeys = V::kRegisters == 32 || kRows == 1 ? 4 : 4 / kRows;
  float p[kRows * kLanes];
  // Keys beside [first, end) share the last or first step: their scores are dropped.
  for (Index j = first / kKeys * kKeys; j < end; j += kKeys) {
    dot_keys<V, kRows, kKeys>(s.q + row * s.width, s.keys + j * s.width, s.width, p + j);
  }
  float correction[kRows];
  weigh<V, kRows>(args, sums, row, first, end, p, correction);
  float* acc = sums.acc + row * s.value_width;
  Index d = 0;
  for (; d + kKeys * kLanes <= s.value_width; d += kKeys * kLanes) {
    add_values<V, kRows, kKeys>(acc + d, s.value_width, correction, p, s.values + d, s.value_stride, first, end);
  }
  for (; d < s.value_width; d += kLanes) {
    add_values<V, kRows, 1>(acc + d, s.value_width, correction, p, s.values + d, s.value_stride, first, end);
  }
}

/// Keys of one tile.
struct KeyRange {
  Index first = 0;
  Index end = 0;
};

/// Folds the keys of the loaded tile that begins at `base` into the rows that see them.
template <typename V>
void fold_block_tile(const AttentionKernelArgs& args, const AttentionScratch& s, const AttentionBlock& block,
                     const AttentionHeads& heads, Index base, const RowSums& sums) {
  const auto visible = [&](Index row) {
    const Index position = position_of(block, heads, row);
    return KeyRange{larger(first_visible(args, position) - base, 0), smaller(position + 1 - base, kLanes)};
  };
  constexpr int kRows = V::kRegisters == 32 ? 4 : 2;
  const Index rows = block.tokens * heads.count;
  for (Index row = 0; row < rows;) {
    const KeyRange keys = visible(row);
    const KeyRange last = row + kRows <= rows ? visible(row + kRows - 1) : KeyRange{};
    if (keys.first >= keys.end) {
      ++row;
    } else if (keys.first == last.first && keys.end == last.end) {
      fold_tile<V, kRows>(args, s, sums, row, keys.first, keys.end);
      row += kRows;
    } else {
      fold_tile<V, 1>(args, s, sums, row, keys.first, keys.end);
      ++row;
    }
  }
}

/// Folds keys [first_key, end_key) of one segment, tile by tile.
template <typename V>
void fold_tiles(const AttentionKernelArgs& args, const AttentionScratch& s, const AttentionBlock& block,
                const AttentionHeads& heads, Index first_key, Index end_key, const RowSums& sums) {
  const KvCacheView& cache = args.cache;
  const std::int32_t* pages = args.block_table + block.request * args.max_blocks;
  for (Index tile = first_key / kLanes; tile * kLanes < end_key; ++tile) {
    const Index base = tile * kLanes;
    const Index from = larger(first_key - base, 0);
    const Index to = smaller(end_key - base, kLanes);
    load_tile<V>(args, pages, heads.kv_head, 0, cache.head_dim, tile, from, to, s.keys, s.width);
    if (!value_is_key(cache)) {
      load_tile<V>(args, pages, heads.kv_head, cache.value_offset, cache.value_dim, tile, from, to, s.values,
                   s.value_stride);
    }
    prefetch_tile(args, pages, heads.kv_head, base + kLanes, smaller(end_key, base + 2 * kLanes));
    fold_block_tile<V>(args, s, block, heads, base, sums);
  }
}

}  // namespace
}  // namespace krait::cpu
