#pragma once

#include "kernels/cpu/isa/attention_rows.h"

/// One token's heads against the keys, which all of them see alike: keys and values go from the cache into registers.
/// Scores, weights and sums of a few tiles are taken together, so that they wait less for each other; what is computed,
/// and in which order each sum is, is what tiles one by one give, bit for bit.
namespace krait::cpu {
namespace {

/// Tiles of 16 keys that are worked on together, so that their corrections for up to four heads are one vector.
inline constexpr Index kTokenTiles = 4;
inline constexpr Index kTokenKeys = kTokenTiles * kLanes;
inline constexpr int kTokenRows = 4;

/// Where the rows of the keys of some tiles lie, from the first key of the first tile on.
struct KvRows {
  const std::byte* row[kTokenKeys];
  float scale[kTokenKeys];  ///< of int8 rows
};

/// The row of one key, in float32.
template <typename V, DType kType>
struct KvRow {
  const typename Stored<V, kType>::Element* data;
  KvRow(const KvRows& rows, Index key)
      : data(reinterpret_cast<const typename Stored<V, kType>::Element*>(rows.row[key])) {}
  [[nodiscard]] typename V::F load(Index d, int n) const { return Stored<V, kType>::load(data + d, n); }
};

template <typename V>
struct KvRow<V, DType::kInt8> {
  const std::int8_t* data;
  typename V::F scale;
  KvRow(const KvRows& rows, Index key)
      : data(reinterpret_cast<const std::int8_t*>(rows.row[key])), scale(V::set1(rows.scale[key])) {}
  [[nodiscard]] typename V::F load(Index d, int n) const {
    if (n == kLanes) return V::mul(V::to_float(V::load_bytes(data + d)), scale);
    std::int8_t part[kLanes] = {};
    for (int i = 0; i < n; ++i) part[i] = data[d + i];
    return V::mul(V::to_float(V::load_bytes(part)), scale);
  }
};

inline Index element_bytes(DType dtype) { return dtype == DType::kFloat32 ? 4 : dtype == DType::kInt8 ? 1 : 2; }

/// The rows of one head in the part of the pages at `offset`, for keys [first, end) of the tiles from `base` on.
inline void find_rows(const KvCacheView& cache, const std::int32_t* pages, Index kv_head, std::size_t offset, Index dim,
                      Index base, Index first, Index end, KvRows& rows) {
  const Index bytes = dim * element_bytes(cache.dtype);
  for_page_runs(cache, pages, base + first, base + end,
                [&](const std::byte* page, Index slot, Index position, Index count) {
                  const std::byte* part = page + offset;
                  const Index at = kv_head * cache.block_size + slot;
                  const std::byte* scales = part + cache.kv_heads * cache.block_size * bytes;
                  for (Index i = 0; i < count; ++i) {
                    const Index key = position - base + i;
                    rows.row[key] = part + (at + i) * bytes;
                    if (cache.dtype != DType::kInt8) continue;
                    __builtin_memcpy(&rows.scale[key], scales + (at + i) * Index{sizeof(float)}, sizeof(float));
                  }
                });
}

inline void prefetch_row(const std::byte* row, Index bytes) {
  for (Index i = 0; i < bytes; i += 64) __builtin_prefetch(row + i);
}

/// Scores of kRows rows of q against kKeys keys from number `key` on: p[r * kTokenKeys + key].
template <typename V, DType kType, int kRows, int kKeys>
void token_scores(const float* q, Index width, const KvRows& rows, Index key, Index dim, float* p) {
  // Sums that have no row and key are zeros.
  static_assert(kRows * kKeys <= 4);
  typename V::F acc[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) acc[i] = V::zero();
  const auto add = [&](Index d, int n) {
#pragma GCC unroll 4
    for (int j = 0; j < kKeys; ++j) {
      const auto k = KvRow<V, kType>(rows, key + j).load(d, n);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) acc[r * kKeys + j] = V::fma(V::load(q + r * width + d), k, acc[r * kKeys + j]);
    }
  };
  Index d = 0;
  for (; d + kLanes <= dim; d += kLanes) add(d, kLanes);
  if (d < dim) add(d, lanes_left(d, dim));
  float sums[4];
  V::reduce_add4(acc[0], acc[1], acc[2], acc[3], sums);
  for (int i = 0; i < kRows * kKeys; ++i) p[i / kKeys * kTokenKeys + key + i % kKeys] = sums[i];
}

/// Scores of kRows rows to weights exp(score - max) in place, with max and sum brought up to date; tile t counts what
/// came before it `corrections[t * kTokenRows + r]` times.
template <typename V, int kRows>
void token_weights(const AttentionKernelArgs& args, Index first, Index end, float* max, float* sum, float* p,
                   float* corrections) {
  const Index tiles = (end + kLanes - 1) / kLanes;
  float highest[kTokenTiles * kTokenRows];
  float shrink[kLanes] = {};
  static_assert(kTokenTiles * kTokenRows == kLanes);
  for (Index t = first / kLanes; t < tiles; ++t) {
    for (int r = 0; r < kRows; ++r) {
      float* scores = p + r * kTokenKeys + t * kLanes;
      const auto scaled = scaled_scores<V>(args, V::load(scores));
      V::store(scores, scaled);
      const float tile_max = V::reduce_max(scaled);
      const float new_max = tile_max > max[r] ? tile_max : max[r];
      shrink[t * kTokenRows + r] = max[r] == new_max ? 0.0F : max[r] - new_max;
      highest[t * kTokenRows + r] = new_max;
      max[r] = new_max;
    }
  }
  V::store(corrections, Math<V>::exp(V::load(shrink)));
  for (Index t = first / kLanes; t < tiles; ++t) {
    for (int r = 0; r < kRows; ++r) {
      float* scores = p + r * kTokenKeys + t * kLanes;
      const auto weights = Math<V>::exp(V::sub(V::load(scores), V::set1(highest[t * kTokenRows + r])));
      V::store(scores, weights);
      sum[r] = sum[r] * corrections[t * kTokenRows + r] + V::reduce_add(weights);
    }
  }
}

/// acc = acc * correction + sum over j of p[j] values[j], tile by tile and j in order, for kRows rows and kVectors
/// vectors from channel `d` on.
template <typename V, DType kType, int kRows, int kVectors>
void token_values(float* acc, Index acc_stride, const float* corrections, const float* p, const KvRows& rows, Index d,
                  int last_lanes, Index first, Index end) {
  typename V::F sum[kRows][kVectors];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) sum[r][i] = V::load(acc + r * acc_stride + i * kLanes);
  }
  for (Index j = first; j < end;) {
    const float* correction = corrections + j / kLanes * kTokenRows;
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) sum[r][i] = V::mul(sum[r][i], V::set1(correction[r]));
    }
    for (const Index tile_end = smaller(end, (j / kLanes + 1) * kLanes); j < tile_end; ++j) {
      const KvRow<V, kType> row(rows, j);
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) {
        const auto value = row.load(d + i * kLanes, i + 1 == kVectors ? last_lanes : kLanes);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) sum[r][i] = V::fma(V::set1(p[r * kTokenKeys + j]), value, sum[r][i]);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) V::store(acc + r * acc_stride + i * kLanes, sum[r][i]);
  }
}

/// The rows that are read after the keys at hand: their values, and the next keys.
struct RowsAhead {
  const KvRows* rows;
  Index first;
  Index end;  ///< none: `first`
  Index bytes;
  void prefetch(Index key) const {
    if (key >= first && key < end) prefetch_row(rows->row[key], bytes);
  }
};

/// Folds keys [first, end) of the tiles whose rows are given into kRows heads, from row `row` on.
template <typename V, DType kType, int kRows>
void fold_token_rows(const AttentionKernelArgs& args, const AttentionScratch& s, const RowSums& sums, Index row,
                     const KvRows& keys, const KvRows& values, const RowsAhead (&ahead)[2], Index first, Index end) {
  constexpr int kKeys = kTokenRows / kRows;
  constexpr int kVectors = kRows == 1 ? 4 : kRows == 2 ? 2 : 1;
  const Index dim = args.cache.head_dim;
  const Index value_dim = args.cache.value_dim;
  float p[kRows * kTokenKeys];
  for (int r = 0; r < kRows; ++r) {
    for (Index j = first / kLanes * kLanes; j < first; ++j) p[r * kTokenKeys + j] = -__builtin_inff();
    for (Index j = end; j < round_up(end, kLanes); ++j) p[r * kTokenKeys + j] = -__builtin_inff();
  }
  const float* q = s.q + row * s.width;
  // A few rows at a time: the processor does not hold many requests for memory.
  const auto prefetch = [&](Index key) {
    if (row > 0) return;
    for (const RowsAhead& rows : ahead) rows.prefetch(key);
  };
  Index key = first;
  for (; key + kKeys <= end; key += kKeys) {
    for (int j = 0; j < kKeys; ++j) prefetch(key + j);
    token_scores<V, kType, kRows, kKeys>(q, s.width, keys, key, dim, p);
  }
  for (; key < end; ++key) {
    prefetch(key);
    token_scores<V, kType, kRows, 1>(q, s.width, keys, key, dim, p);
  }
  float corrections[kLanes];
  token_weights<V, kRows>(args, first, end, sums.max + row, sums.sum + row, p, corrections);
  float* acc = sums.acc + row * s.value_width;
  Index d = 0;
  for (; d + kVectors * kLanes <= value_dim; d += kVectors * kLanes) {
    token_values<V, kType, kRows, kVectors>(acc + d, s.value_width, corrections, p, values, d, kLanes, first, end);
  }
  for (; d < value_dim; d += kLanes) {
    token_values<V, kType, kRows, 1>(acc + d, s.value_width, corrections, p, values, d, lanes_left(d, value_dim), first,
                                     end);
  }
}

/// Folds keys [first_key, end_key) of one segment into the heads of one token.
template <typename V, DType kType>
void fold_token(const AttentionKernelArgs& args, const AttentionScratch& s, const AttentionBlock& block,
                const AttentionHeads& heads, Index first_key, Index end_key, const RowSums& sums) {
  const KvCacheView& cache = args.cache;
  const std::int32_t* pages = args.block_table + block.request * args.max_blocks;
  const Index key_bytes = cache.head_dim * element_bytes(cache.dtype);
  const Index value_bytes = cache.value_dim * element_bytes(cache.dtype);
  // The rows of these keys and of the next ones.
  KvRows buffers[2];
  KvRows separate_values;
  const auto find_keys = [&](Index base, KvRows& rows) {
    find_rows(cache, pages, heads.kv_head, 0, cache.head_dim, base, larger(first_key - base, 0),
              smaller(end_key - base, kTokenKeys), rows);
  };
  Index base = first_key / kLanes * kLanes;
  int at = 0;
  find_keys(base, buffers[at]);
  for (; base < end_key; base += kTokenKeys, at = 1 - at) {
    const Index first = larger(first_key - base, 0);
    const Index end = smaller(end_key - base, kTokenKeys);
    const KvRows& keys = buffers[at];
    const KvRows& values = value_is_key(cache) ? keys : separate_values;
    RowsAhead ahead[2] = {{&separate_values, first, first, value_bytes}, {&buffers[1 - at], 0, 0, key_bytes}};
    if (!value_is_key(cache)) {
      find_rows(cache, pages, heads.kv_head, cache.value_offset, cache.value_dim, base, first, end, separate_values);
      ahead[0].end = end;
    }
    if (base + kTokenKeys < end_key) {
      find_keys(base + kTokenKeys, buffers[1 - at]);
      ahead[1].end = smaller(end_key - base - kTokenKeys, kTokenKeys);
    }
    Index row = 0;
    for (; row + kTokenRows <= heads.count; row += kTokenRows) {
      fold_token_rows<V, kType, kTokenRows>(args, s, sums, row, keys, values, ahead, first, end);
    }
    if (heads.count - row == 3) fold_token_rows<V, kType, 3>(args, s, sums, row, keys, values, ahead, first, end);
    if (heads.count - row == 2) fold_token_rows<V, kType, 2>(args, s, sums, row, keys, values, ahead, first, end);
    if (heads.count - row == 1) fold_token_rows<V, kType, 1>(args, s, sums, row, keys, values, ahead, first, end);
  }
}

template <typename V>
void fold_token(const AttentionKernelArgs& args, const AttentionScratch& s, const AttentionBlock& block,
                const AttentionHeads& heads, Index first_key, Index end_key, const RowSums& sums) {
  if (args.cache.dtype == DType::kInt8) {
    return fold_token<V, DType::kInt8>(args, s, block, heads, first_key, end_key, sums);
  }
  with_stored<V>(args.cache.dtype, [&](auto stored) {
    fold_token<V, decltype(stored)::kDType>(args, s, block, heads, first_key, end_key, sums);
  });
}

}  // namespace
}  // namespace krait::cpu
