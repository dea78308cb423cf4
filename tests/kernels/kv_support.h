#pragma once

#include "tests/kernels/test_support.h"

namespace krait::test {

/// A paged KV cache of one layer among two (the pages hold another layer's bytes too), pages filled with NaN bytes.
struct KvPages {
  int block_size;
  int kv_heads;
  int head_dim;
  std::vector<std::byte> memory;
  KvCacheView view;

  KvPages(int pages, int block, int heads, int dim, DType dtype) : block_size(block), kv_heads(heads), head_dim(dim) {
    const std::size_t half = static_cast<std::size_t>(block) * heads * dim * dtype_size(dtype);
    const std::size_t stride = 4 * half;
    memory.assign(stride * static_cast<std::size_t>(pages), std::byte{0xff});
    view = KvCacheView{.base = memory.data() + 2 * half,
                       .page_stride = stride,
                       .value_offset = half,
                       .block_size = block,
                       .kv_heads = heads,
                       .head_dim = dim,
                       .dtype = dtype};
  }
};

/// One sequence's keys, values and pages.
struct KvSequence {
  Matrix k;
  Matrix v;
  std::vector<std::int32_t> pages;

  KvSequence(Random& random, const KvPages& cache, int tokens, int first_page)
      : k(random.matrix(tokens, cache.kv_heads * cache.head_dim)),
        v(random.matrix(tokens, cache.kv_heads * cache.head_dim)) {
    // Pages in falling order: nothing may rely on neighbours.
    const int count = (tokens + cache.block_size - 1) / cache.block_size;
    for (int i = 0; i < count; ++i) pages.push_back(first_page + count - 1 - i);
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
    args.v = values.view();
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
  Matrix out(end - begin, q.columns);
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
