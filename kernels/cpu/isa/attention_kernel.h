#pragma once

#include "kernels/cpu/isa/convert.h"
#include "kernels/cpu/isa/vector_math.h"

/// Softmax attention over pages by the online method (Milakov and Gimelshein, 2018): for each (query token, head) the
/// keys are folded in tiles of 16 that lie at absolute positions [16j, 16j + 16), in order. What a tile adds depends on
/// the query's own visible keys alone, so a row's result is the same in a prefill of any cut and in decode. Rows of one
/// block share the tiles' loads. Where V is a part of K (latent attention) a tile is loaded once and read as both.
namespace krait::cpu {
namespace {

/// A worker's buffers for one block of query rows against one KV head.
struct AttentionScratch {
  float* q;            ///< [rows, width]
  float* acc;          ///< [rows, value_width]: sum of p v, relative to max
  float* max;          ///< [rows]
  float* sum;          ///< [rows]
  float* keys;         ///< [16, width]
  float* values;       ///< [16, value_stride]; the keys where V is a part of K
  Index width;         ///< head_dim rounded up to whole vectors, the rest zero
  Index value_width;   ///< value_dim rounded up to whole vectors, the rest without meaning
  Index value_stride;  ///< between two rows of `values`
};

/// The query heads of one unit: unit u is head part u % parts of KV head u / parts % kv_heads of block
/// u / parts / kv_heads.
struct AttentionHeads {
  Index kv_head;
  Index first;  ///< of q
  Index count;
};

inline bool value_is_key(const KvCacheView& cache) { return cache.value_offset == 0; }

inline Index attention_rows(const AttentionKernelArgs& args) { return args.block_tokens * args.heads_per_unit; }

template <typename V>
Index attention_scratch(const AttentionKernelArgs& args) {
  const Index width = round_up(args.cache.head_dim, kLanes);
  const Index value_width = round_up(args.cache.value_dim, kLanes);
  const Index rows = attention_rows(args);
  return (rows + kLanes) * (width + value_width) + 2 * round_up(rows, kLanes);
}

inline AttentionScratch attention_layout(const AttentionKernelArgs& args, float* memory) {
  const Index rows = attention_rows(args);
  AttentionScratch s{};
  s.width = round_up(args.cache.head_dim, kLanes);
  s.value_width = round_up(args.cache.value_dim, kLanes);
  s.q = memory;
  s.acc = s.q + rows * s.width;
  s.keys = s.acc + rows * s.value_width;
  float* separate_values = s.keys + kLanes * s.width;
  s.max = separate_values + kLanes * s.value_width;
  s.sum = s.max + round_up(rows, kLanes);
  s.values = value_is_key(args.cache) ? s.keys : separate_values;
  s.value_stride = value_is_key(args.cache) ? s.width : s.value_width;
  return s;
}

/// Calls fn(page, slot, position, rows) for the runs of positions [first, end) that lie in one page.
template <typename Fn>
void for_page_runs(const KvCacheView& cache, const std::int32_t* pages, Index first, Index end, Fn fn) {
  for (Index position = first; position < end;) {
    const Index slot = position % cache.block_size;
    const Index rows = smaller(cache.block_size - slot, end - position);
    fn(cache.base + pages[position / cache.block_size] * static_cast<Index>(cache.page_stride), slot, position, rows);
    position += rows;
  }
}

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
void weigh(const AttentionKernelArgs& args, const AttentionScratch& s, Index row, Index first, Index end, float* p,
           float* correction) {
  float shrink[kLanes] = {};
  bool higher = false;
  typename V::F weights[kRows];
  for (int r = 0; r < kRows; ++r) {
    float* scores = p + r * kLanes;
    for (Index j = 0; j < first; ++j) scores[j] = -__builtin_inff();
    for (Index j = end; j < kLanes; ++j) scores[j] = -__builtin_inff();
    auto scaled = V::mul(V::load(scores), V::set1(args.scale));
    if (args.soft_cap > 0.0F) {
      const auto cap = V::set1(args.soft_cap);
      const auto capped = V::mul(cap, Math<V>::tanh(V::div(scaled, cap)));
      // tanh(-inf) would bring the hidden keys back.
      scaled = V::select(V::lt(V::set1(-__builtin_inff()), scaled), capped, scaled);
    }
    const float tile_max = V::reduce_max(scaled);
    const float old_max = s.max[row + r];
    const float new_max = tile_max > old_max ? tile_max : old_max;
    weights[r] = Math<V>::exp(V::sub(scaled, V::set1(new_max)));
    V::store(scores, weights[r]);
    s.max[row + r] = new_max;
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
  for (int r = 0; r < kRows; ++r) s.sum[row + r] = s.sum[row + r] * correction[r] + V::reduce_add(weights[r]);
}

/// Folds keys [first, end) of the loaded tile into kRows rows.
template <typename V, int kRows>
void fold_tile(const AttentionKernelArgs& args, const AttentionScratch& s, Index row, Index first, Index end) {
  // What the registers hold as accumulators: four vectors, or sixteen.
  constexpr int kKeys = V::kRegisters == 32 || kRows == 1 ? 4 : 4 / kRows;
  float p[kRows * kLanes];
  // Keys beside [first, end) share the last or first step: their scores are dropped.
  for (Index j = first / kKeys * kKeys; j < end; j += kKeys) {
    dot_keys<V, kRows, kKeys>(s.q + row * s.width, s.keys + j * s.width, s.width, p + j);
  }
  float correction[kRows];
  weigh<V, kRows>(args, s, row, first, end, p, correction);
  float* acc = s.acc + row * s.value_width;
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

/// The first key that a query at `position` sees.
inline Index first_visible(const AttentionKernelArgs& args, Index position) {
  return args.sliding_window > 0 ? larger(0, position - args.sliding_window + 1) : 0;
}

template <typename V>
void start_rows(const AttentionKernelArgs& args, const AttentionScratch& s, const AttentionBlock& block,
                const AttentionHeads& heads) {
  for (Index row = 0; row < block.tokens * heads.count; ++row) {
    const Index head = heads.first + row % heads.count;
    const float* q = args.q.data + (block.first_token + row / heads.count) * args.q.stride + head * args.cache.head_dim;
    for (Index d = 0; d < s.width; d += kLanes) {
      V::store(s.q + row * s.width + d, load<V>(q + d, lanes_left(d, args.cache.head_dim)));
    }
    for (Index d = 0; d < s.value_width; d += kLanes) V::store(s.acc + row * s.value_width + d, V::zero());
    // A sink is one more key whose value is zero.
    s.max[row] = args.sinks != nullptr ? args.sinks[head] : -__builtin_inff();
    s.sum[row] = args.sinks != nullptr ? 1.0F : 0.0F;
  }
}

template <typename V>
void finish_rows(const AttentionKernelArgs& args, const AttentionScratch& s, const AttentionBlock& block,
                 const AttentionHeads& heads) {
  const Index dim = args.cache.value_dim;
  for (Index row = 0; row < block.tokens * heads.count; ++row) {
    const Index head = heads.first + row % heads.count;
    float* out = args.out.data + (block.first_token + row / heads.count) * args.out.stride + head * dim;
    const auto sum = V::set1(s.sum[row]);
    for (Index d = 0; d < dim; d += kLanes) {
      store<V>(out + d, V::div(V::load(s.acc + row * s.value_width + d), sum), lanes_left(d, dim));
    }
  }
}

template <typename V>
void attend(const AttentionKernelArgs& args, const AttentionScratch& s, const AttentionBlock& block,
            const AttentionHeads& heads) {
  const KvCacheView& cache = args.cache;
  const std::int32_t* pages = args.block_table + block.request * args.max_blocks;
  const Index first_key = first_visible(args, block.first_position);
  const Index end_key = Index{block.first_position} + block.tokens;
  start_rows<V>(args, s, block, heads);
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
    const auto visible = [&](Index row) {
      const Index position = block.first_position + row / heads.count;
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
        fold_tile<V, kRows>(args, s, row, keys.first, keys.end);
        row += kRows;
      } else {
        fold_tile<V, 1>(args, s, row, keys.first, keys.end);
        ++row;
      }
    }
  }
  finish_rows<V>(args, s, block, heads);
}

template <typename V>
void attention(const AttentionKernelArgs& args, Index begin, Index end, float* scratch) {
  const AttentionScratch s = attention_layout(args, scratch);
  const Index group = args.heads / args.cache.kv_heads;
  const Index parts = (group + args.heads_per_unit - 1) / args.heads_per_unit;
  for (Index unit = begin; unit < end; ++unit) {
    const Index kv_head = unit / parts % args.cache.kv_heads;
    const Index skipped = unit % parts * args.heads_per_unit;
    const AttentionHeads heads{
        .kv_head = kv_head, .first = kv_head * group + skipped, .count = smaller(args.heads_per_unit, group - skipped)};
    attend<V>(args, s, args.blocks[unit / parts / args.cache.kv_heads], heads);
  }
}

}  // namespace
}  // namespace krait::cpu
