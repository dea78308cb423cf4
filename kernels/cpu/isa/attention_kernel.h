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

inline Index attention_rows(const AttentionKernelArgs& args) { return kAttentionBlockTokens * args.heads_per_unit; }

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

/// Copies keys or values [first, end) of a tile, `dim` elements each, to float32 rows.
template <typename V>
void load_tile(const AttentionKernelArgs& args, const std::int32_t* pages, Index kv_head, std::size_t offset, Index dim,
               Index tile, Index first, Index end, float* out, Index width) {
  const KvCacheView& cache = args.cache;
  with_stored<V>(cache.dtype, [&](auto stored) {
    using Element = typename decltype(stored)::Element;
    for (Index i = first; i < end; ++i) {
      const Index position = tile * kLanes + i;
      const std::byte* page =
          cache.base + pages[position / cache.block_size] * static_cast<Index>(cache.page_stride) + offset;
      const Index row = (position % cache.block_size) * cache.kv_heads + kv_head;
      const auto* from = reinterpret_cast<const Element*>(page) + row * dim;
      for (Index d = 0; d < dim; d += kLanes) {
        V::store(out + i * width + d, stored.load(from + d, lanes_left(d, dim)));
      }
    }
  });
}

/// A tile's rows lie `kv_heads` heads apart, often one a memory page, where the processor's own prefetching does not
/// reach.
inline void prefetch_tile(const AttentionKernelArgs& args, const std::int32_t* pages, Index kv_head, Index first,
                          Index end) {
  const KvCacheView& cache = args.cache;
  const Index element = cache.dtype == DType::kFloat32 ? 4 : 2;
  const Index key_bytes = cache.head_dim * element;
  const Index value_bytes = value_is_key(cache) ? 0 : cache.value_dim * element;
  for (Index position = first; position < end; ++position) {
    const Index row = (position % cache.block_size) * cache.kv_heads + kv_head;
    const std::byte* page = cache.base + pages[position / cache.block_size] * static_cast<Index>(cache.page_stride);
    const std::byte* values = page + cache.value_offset + row * value_bytes;
    for (Index i = 0; i < key_bytes; i += 64) __builtin_prefetch(page + row * key_bytes + i);
    for (Index i = 0; i < value_bytes; i += 64) __builtin_prefetch(values + i);
  }
}

/// q k^T of one row and kCount keys: one vector accumulator a key.
template <typename V, int kCount>
void dot_keys(const float* q, const float* keys, Index width, float* scores) {
  typename V::F acc[kCount];
#pragma GCC unroll 4
  for (int j = 0; j < kCount; ++j) acc[j] = V::zero();
  for (Index d = 0; d < width; d += kLanes) {
    const auto x = V::load(q + d);
#pragma GCC unroll 4
    for (int j = 0; j < kCount; ++j) acc[j] = V::fma(x, V::load(keys + j * width + d), acc[j]);
  }
#pragma GCC unroll 4
  for (int j = 0; j < kCount; ++j) scores[j] = V::reduce_add(acc[j]);
}

/// acc = acc * correction + sum over j of p[j] values[j], j in order, for kCount vectors from column d on.
template <typename V, int kCount>
void add_values(float* acc, float correction, const float* p, const float* values, Index stride, Index first,
                Index end) {
  typename V::F sum[kCount];
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) sum[i] = V::mul(V::load(acc + i * kLanes), V::set1(correction));
  for (Index j = first; j < end; ++j) {
    const auto weight = V::set1(p[j]);
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) sum[i] = V::fma(weight, V::load(values + j * stride + i * kLanes), sum[i]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) V::store(acc + i * kLanes, sum[i]);
}

/// exp of one value, by the vector code.
template <typename V>
float exp_scalar(float x) {
  float lanes[kLanes];
  V::store(lanes, Math<V>::exp(V::set1(x)));
  return lanes[0];
}

/// Folds keys [first, end) of the loaded tile into one row.
template <typename V>
void fold_tile(const AttentionKernelArgs& args, const AttentionScratch& s, Index row, Index first, Index end) {
  const float* q = s.q + row * s.width;
  float p[kLanes];
  V::store(p, V::set1(-__builtin_inff()));
  Index j = first;
  for (; j + 4 <= end; j += 4) dot_keys<V, 4>(q, s.keys + j * s.width, s.width, p + j);
  for (; j < end; ++j) dot_keys<V, 1>(q, s.keys + j * s.width, s.width, p + j);
  auto scores = V::mul(V::load(p), V::set1(args.scale));
  if (args.soft_cap > 0.0F) {
    const auto cap = V::set1(args.soft_cap);
    const auto capped = V::mul(cap, Math<V>::tanh(V::div(scores, cap)));
    // tanh(-inf) would bring the hidden keys back.
    scores = V::select(V::lt(V::set1(-__builtin_inff()), scores), capped, scores);
  }
  const float tile_max = V::reduce_max(scores);
  const float old_max = s.max[row];
  const float new_max = tile_max > old_max ? tile_max : old_max;
  const auto weights = Math<V>::exp(V::sub(scores, V::set1(new_max)));
  const float correction = exp_scalar<V>(old_max - new_max);
  s.max[row] = new_max;
  s.sum[row] = s.sum[row] * correction + V::reduce_add(weights);
  V::store(p, weights);
  float* acc = s.acc + row * s.value_width;
  Index d = 0;
  for (; d + 4 * kLanes <= s.value_width; d += 4 * kLanes) {
    add_values<V, 4>(acc + d, correction, p, s.values + d, s.value_stride, first, end);
  }
  for (; d < s.value_width; d += kLanes) {
    add_values<V, 1>(acc + d, correction, p, s.values + d, s.value_stride, first, end);
  }
}

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
    for (Index token = 0; token < block.tokens; ++token) {
      const Index position = block.first_position + token;
      const Index first = larger(first_visible(args, position) - base, 0);
      const Index end = smaller(position + 1 - base, kLanes);
      if (first >= end) continue;
      for (Index h = 0; h < heads.count; ++h) fold_tile<V>(args, s, token * heads.count + h, first, end);
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
