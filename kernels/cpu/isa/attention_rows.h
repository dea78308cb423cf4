#pragma once

#include "kernels/cpu/isa/convert.h"
#include "kernels/cpu/isa/vector_math.h"

/// What query rows gather of the keys, and where keys lie. Keys are folded segment by segment of kAttentionSegment keys
/// at absolute positions, each from nothing, and a row's segments are merged in order: who folds a segment, and when,
/// changes no bit.
namespace krait::cpu {
namespace {

/// Of some keys, for each row: the largest score, the sum of p = exp(score - max), and the sum of p v.
struct RowSums {
  float* acc;  ///< [rows, value_width]
  float* max;  ///< [rows]
  float* sum;  ///< [rows]
};

/// A worker's buffers for one block of query rows against one KV head.
struct AttentionScratch {
  float* q;            ///< [rows, width]
  RowSums segment;     ///< of the segment at hand
  RowSums total;       ///< of those before it
  float* keys;         ///< [16, width]
  float* values;       ///< [16, value_stride]; the keys where V is a part of K
  Index width;         ///< head_dim rounded up to whole vectors, the rest zero
  Index value_width;   ///< value_dim rounded up to whole vectors, the rest without meaning
  Index value_stride;  ///< between two rows of `values`
};

/// The query heads of one unit.
struct AttentionHeads {
  Index kv_head;
  Index first;  ///< of q
  Index count;
};

inline bool value_is_key(const KvCacheView& cache) { return cache.value_offset == 0; }

inline Index attention_rows(const AttentionKernelArgs& args) { return args.block_tokens * args.heads_per_unit; }

/// Floats of the RowSums of a block.
inline Index row_sums_floats(const AttentionKernelArgs& args) {
  const Index rows = attention_rows(args);
  return rows * round_up(args.cache.value_dim, kLanes) + 2 * round_up(rows, kLanes);
}

inline RowSums row_sums(const AttentionKernelArgs& args, float* memory) {
  const Index rows = attention_rows(args);
  float* max = memory + rows * round_up(args.cache.value_dim, kLanes);
  return {.acc = memory, .max = max, .sum = max + round_up(rows, kLanes)};
}

template <typename V>
Index attention_scratch(const AttentionKernelArgs& args) {
  const Index width = round_up(args.cache.head_dim, kLanes);
  const Index value_width = round_up(args.cache.value_dim, kLanes);
  return attention_rows(args) * width + kLanes * (width + value_width) + 2 * row_sums_floats(args);
}

inline AttentionScratch attention_layout(const AttentionKernelArgs& args, float* memory) {
  AttentionScratch s{};
  s.width = round_up(args.cache.head_dim, kLanes);
  s.value_width = round_up(args.cache.value_dim, kLanes);
  s.q = memory;
  s.keys = s.q + attention_rows(args) * s.width;
  float* separate_values = s.keys + kLanes * s.width;
  s.values = value_is_key(args.cache) ? s.keys : separate_values;
  s.value_stride = value_is_key(args.cache) ? s.width : s.value_width;
  float* sums = separate_values + kLanes * s.value_width;
  s.segment = row_sums(args, sums);
  s.total = row_sums(args, sums + row_sums_floats(args));
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

/// The first key that a query at `position` sees.
inline Index first_visible(const AttentionKernelArgs& args, Index position) {
  return args.sliding_window > 0 ? larger(0, position - args.sliding_window + 1) : 0;
}

inline Index position_of(const AttentionBlock& block, const AttentionHeads& heads, Index row) {
  return block.first_position + row / heads.count;
}

/// The first and the last segment of which a query at `position` sees keys.
inline Index first_segment(const AttentionKernelArgs& args, Index position) {
  return first_visible(args, position) / kAttentionSegment;
}
inline Index last_segment(Index position) { return position / kAttentionSegment; }

template <typename V>
void load_queries(const AttentionKernelArgs& args, const AttentionScratch& s, const AttentionBlock& block,
                  const AttentionHeads& heads) {
  for (Index row = 0; row < block.tokens * heads.count; ++row) {
    const Index head = heads.first + row % heads.count;
    const float* q = args.q.data + (block.first_token + row / heads.count) * args.q.stride + head * args.cache.head_dim;
    for (Index d = 0; d < s.width; d += kLanes) {
      V::store(s.q + row * s.width + d, load<V>(q + d, lanes_left(d, args.cache.head_dim)));
    }
  }
}

/// No keys yet. A sink is one more key of a row's first segment, whose value is zero.
template <typename V>
void start_rows(const AttentionKernelArgs& args, const AttentionScratch& s, const AttentionBlock& block,
                const AttentionHeads& heads, Index segment, const RowSums& sums) {
  for (Index row = 0; row < block.tokens * heads.count; ++row) {
    for (Index d = 0; d < s.value_width; d += kLanes) V::store(sums.acc + row * s.value_width + d, V::zero());
    const bool sink = args.sinks != nullptr && segment == first_segment(args, position_of(block, heads, row));
    sums.max[row] = sink ? args.sinks[heads.first + row % heads.count] : -__builtin_inff();
    sums.sum[row] = sink ? 1.0F : 0.0F;
  }
}

/// Adds a segment's sums to what the total has of the segments before it.
template <typename V>
void merge_rows(const AttentionKernelArgs& args, const AttentionScratch& s, const AttentionBlock& block,
                const AttentionHeads& heads, Index segment, const RowSums& sums) {
  const RowSums& total = s.total;
  for (Index row = 0; row < block.tokens * heads.count; ++row) {
    const Index position = position_of(block, heads, row);
    const Index first = first_segment(args, position);
    if (segment < first || segment > last_segment(position)) continue;
    const float* acc = sums.acc + row * s.value_width;
    float* to = total.acc + row * s.value_width;
    if (segment == first) {
      total.max[row] = sums.max[row];
      total.sum[row] = sums.sum[row];
      for (Index d = 0; d < s.value_width; d += kLanes) V::store(to + d, V::load(acc + d));
      continue;
    }
    const float max = sums.max[row] > total.max[row] ? sums.max[row] : total.max[row];
    float factors[kLanes] = {total.max[row] - max, sums.max[row] - max};
    V::store(factors, Math<V>::exp(V::load(factors)));
    total.max[row] = max;
    total.sum[row] = total.sum[row] * factors[0] + sums.sum[row] * factors[1];
    const auto old = V::set1(factors[0]);
    const auto added = V::set1(factors[1]);
    for (Index d = 0; d < s.value_width; d += kLanes) {
      V::store(to + d, V::fma(V::load(acc + d), added, V::mul(V::load(to + d), old)));
    }
  }
}

template <typename V>
void finish_rows(const AttentionKernelArgs& args, const AttentionScratch& s, const AttentionBlock& block,
                 const AttentionHeads& heads, const RowSums& sums) {
  const Index dim = args.cache.value_dim;
  for (Index row = 0; row < block.tokens * heads.count; ++row) {
    const Index head = heads.first + row % heads.count;
    float* out = args.out.data + (block.first_token + row / heads.count) * args.out.stride + head * dim;
    const auto sum = V::set1(sums.sum[row]);
    for (Index d = 0; d < dim; d += kLanes) {
      store<V>(out + d, V::div(V::load(sums.acc + row * s.value_width + d), sum), lanes_left(d, dim));
    }
  }
}

/// A vector of scores (hidden ones are -inf), scaled and capped.
template <typename V>
typename V::F scaled_scores(const AttentionKernelArgs& args, typename V::F scores) {
  const auto scaled = V::mul(scores, V::set1(args.scale));
  if (args.soft_cap <= 0.0F) return scaled;
  const auto cap = V::set1(args.soft_cap);
  const auto capped = V::mul(cap, Math<V>::tanh(V::div(scaled, cap)));
  // tanh(-inf) would bring the hidden keys back.
  return V::select(V::lt(V::set1(-__builtin_inff()), scaled), capped, scaled);
}

}  // namespace
}  // namespace krait::cpu
