#pragma once

#include <algorithm>
#include <cmath>
#include <span>

#include "tests/kernels/test_support.h"

namespace krait::test {

/// Dimensions of a cache. value_dim 0: V is as wide as K. `value_is_key`: V is the first value_dim elements of each K
/// row and is not stored.
struct KvShape {
  int kv_heads = 1;
  int head_dim = 1;
  int value_dim = 0;
  bool value_is_key = false;
};

/// A paged KV cache of one layer among two (the pages hold another layer's bytes too), pages filled with NaN bytes.
struct KvPages {
  int block_size;
  int kv_heads;
  int head_dim;
  int value_dim;
  bool value_is_key;
  std::vector<std::byte> memory;
  KvCacheView view;

  KvPages(int pages, int block, const KvShape& shape, DType dtype)
      : block_size(block),
        kv_heads(shape.kv_heads),
        head_dim(shape.head_dim),
        value_dim(shape.value_dim == 0 ? shape.head_dim : shape.value_dim),
        value_is_key(shape.value_is_key) {
    const std::size_t rows = static_cast<std::size_t>(block) * static_cast<std::size_t>(kv_heads);
    const std::size_t keys = rows * kv_row_bytes(dtype, head_dim);
    const std::size_t layer = keys + (value_is_key ? 0 : rows * kv_row_bytes(dtype, value_dim));
    memory.assign(2 * layer * static_cast<std::size_t>(pages), std::byte{0xff});
    view = KvCacheView{.base = memory.data() + layer,
                       .page_stride = 2 * layer,
                       .value_offset = value_is_key ? 0 : keys,
                       .block_size = block,
                       .kv_heads = kv_heads,
                       .head_dim = head_dim,
                       .value_dim = shape.value_dim,
                       .dtype = dtype};
  }
  KvPages(int pages, int block, int heads, int dim, DType dtype)
      : KvPages(pages, block, KvShape{.kv_heads = heads, .head_dim = dim}, dtype) {}
};

/// What a cache keeps of rows of `dim` elements.
inline Matrix stored_rows(const Matrix& m, int dim, DType dtype) {
  Matrix kept = m;
  for (std::size_t row = 0; row < kept.data.size(); row += static_cast<std::size_t>(dim)) {
    const std::span<float> values(kept.data.data() + row, static_cast<std::size_t>(dim));
    float max = 0.0F;
    for (const float x : values) max = std::max(max, std::abs(x));
    for (float& x : values) {
      if (dtype != DType::kInt8) {
        x = round_to(x, dtype);
      } else {
        x = max < 1e-30F ? 0.0F : std::nearbyint(x * (127.0F / max)) * (max / 127.0F);
      }
    }
  }
  return kept;
}

/// One sequence's keys, values and pages.
struct KvSequence {
  Matrix k;
  Matrix v;
  std::vector<std::int32_t> pages;

  KvSequence(Random& random, const KvPages& cache, int tokens, int first_page)
      : k(random.matrix(tokens, cache.kv_heads * cache.head_dim)),
        v(cache.value_is_key ? Matrix() : random.matrix(tokens, cache.kv_heads * cache.value_dim)) {
    if (cache.value_is_key) v = leading_parts(k, cache);
    // Pages in falling order: nothing may rely on neighbours.
    const int count = (tokens + cache.block_size - 1) / cache.block_size;
    for (int i = 0; i < count; ++i) pages.push_back(first_page + count - 1 - i);
  }
  /// The values that lie in the keys: [tokens, kv_heads * value_dim].
  static Matrix leading_parts(const Matrix& k, const KvPages& cache) {
    Matrix v(k.rows, cache.kv_heads * cache.value_dim);
    for (std::int64_t i = 0; i < v.rows * v.columns; ++i) {
      const std::int64_t head = i % v.columns / cache.value_dim;
      v.at(i / v.columns, i % v.columns) = k.at(i / v.columns, head * cache.head_dim + i % cache.value_dim);
    }
    return v;
  }
  [[nodiscard]] std::int64_t slot(int token, int block_size) const {
    return std::int64_t{pages[static_cast<std::size_t>(token / block_size)]} * block_size + token % block_size;
  }
  /// Writes tokens [begin, end) without norm or rotation.
  void write(Operations& ops, const KvPages& cache, int begin, int end) const {
    Matrix q(end - begin, cache.head_dim);
    Matrix keys = k.slice(begin, end);
    const Matrix values = v.slice(begin, end);
    std::vector<std::int64_t> slots;
    for (int t = begin; t < end; ++t) slots.push_back(slot(t, cache.block_size));
    WriteKvArgs args;
    args.q = q.view();
    args.k = keys.view();
    if (!cache.value_is_key) args.v = values.view();
    args.slot_mapping = slots;
    args.cache = cache.view;
    ops.qk_norm_rope_write_kv(args);
  }
};

struct AttentionOptions {
  float scale = 0.3F;
  int window = 0;
  float soft_cap = 0.0F;
  std::vector<float> sinks{};
};

/// Attention of query tokens [begin, end) of one sequence.
inline Matrix attend(Operations& ops, const KvPages& cache, const KvSequence& sequence, const Matrix& q, int begin,
                     int end, const AttentionOptions& options) {
  const Matrix rows = q.slice(begin, end);
  Matrix out(end - begin, q.columns / cache.head_dim * cache.value_dim);
  const std::vector<std::int32_t> starts{0, end - begin};
  const std::vector<std::int32_t> lengths{end};
  PagedAttentionArgs args;
  args.q = rows.view();
  args.out = out.view();
  args.cache = cache.view;
  args.query_start_loc = starts;
  args.seq_lens = lengths;
  args.block_table = sequence.pages;
  args.max_blocks = static_cast<int>(sequence.pages.size());
  args.scale = options.scale;
  args.sliding_window = options.window;
  args.logits_soft_cap = options.soft_cap;
  if (!options.sinks.empty()) {
    args.sinks = TensorView(const_cast<float*>(options.sinks.data()), DType::kFloat32,
                            Shape{static_cast<std::int64_t>(options.sinks.size())});
  }
  ops.paged_attention(args);
  return out;
}

}  // namespace krait::test
