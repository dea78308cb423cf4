#include <algorithm>
#include <vector>

#include "kernels/cuda/attention/paged_attention.h"
#include "kernels/cuda/attention/write_kv.h"
#include "kernels/cuda/cuda_operations.h"
#include "kernels/cuda/view_checks.h"

namespace krait::cuda {
namespace {

PagedKv checked_cache(const KvCacheView& cache) {
  require(cache.base != nullptr && cache.block_size > 0 && cache.kv_heads > 0 && cache.head_dim > 0, "KV cache");
  require(is_kernel_float(cache.dtype) || cache.dtype == DType::kInt8, "KV cache dtype");
  const int value_dim = cache.value_dim == 0 ? cache.head_dim : cache.value_dim;
  require(value_dim > 0 && (cache.value_offset > 0 || value_dim <= cache.head_dim), "value_dim");
  return {.base = cache.base,
          .page_stride = cache.page_stride,
          .value_offset = cache.value_offset,
          .block_size = cache.block_size,
          .kv_heads = cache.kv_heads,
          .head_dim = cache.head_dim,
          .value_dim = value_dim,
          .dtype = cache.dtype};
}

Rope checked_rope(const WriteKvArgs& args) {
  const RopeView& rope = args.rope;
  if (rope.rotary_dim == 0) return {};
  require(rope.rotary_dim > 0 && rope.rotary_dim % 2 == 0, "rotary_dim");
  require(rope.offset >= 0 && rope.offset + rope.rotary_dim <= args.cache.head_dim, "rotating channels");
  require(args.positions.size() == args.slot_mapping.size(), "one position a token");
  for (const std::int32_t p : args.positions) require(p >= 0 && p < rope.cos.rows(), "a position without angles");
  return {.cos = const_matrix(rope.cos, 0, rope.rotary_dim / 2, "cos"),
          .sin = const_matrix(rope.sin, 0, rope.rotary_dim / 2, "sin"),
          .rotary_dim = rope.rotary_dim,
          .interleaved = rope.interleaved,
          .offset = rope.offset};
}

/// Floats of partial results that one launch may leave: more requests are split in several launches.
constexpr std::size_t kMostPartials = std::size_t{16} << 20;

/// Runs of requests that are split, and one part for all others.
std::vector<AttentionPart> parts_of(const PagedAttentionArgs& args, const PagedAttention& kernel) {
  std::vector<AttentionPart> parts;
  AttentionPart whole{};
  AttentionPart run{.split = true};
  const auto close_run = [&] {
    if (run.requests > 0) parts.push_back(run);
    run = {.split = true};
  };
  const auto requests = static_cast<int>(args.query_start_loc.size()) - 1;
  for (int r = 0; r < requests; ++r) {
    const auto at = static_cast<std::size_t>(r);
    const int begin = args.query_start_loc[at];
    const int tokens = args.query_start_loc[at + 1] - begin;
    const int seq_len = args.seq_lens[at];
    require(tokens >= 0, "query_start_loc");
    if (tokens == 0) continue;
    require(seq_len >= tokens && seq_len <= args.max_blocks * args.cache.block_size, "sequence lengths");
    require(args.max_seq_len == 0 || seq_len <= args.max_seq_len, "a sequence within max_seq_len");
    const bool split = tokens <= kMostSplitTokens;
    if (!split) close_run();
    const auto extended = [&](AttentionPart part) {
      if (part.requests == 0) {
        part.first_request = r;
        part.first_token = begin;
      }
      part.requests = r - part.first_request + 1;
      part.tokens = begin + tokens - part.first_token;
      part.most_tokens = std::max(part.most_tokens, tokens);
      const int segments = args.max_seq_len > 0 ? most_segments(args.sliding_window, args.max_seq_len)
                                                : segments_of(args.sliding_window, seq_len, tokens);
      if (split) part.segments = std::max(part.segments, segments);
      return part;
    };
    if (!split) {
      whole = extended(whole);
      continue;
    }
    if (run.requests > 0 && partial_floats(kernel, extended(run)) > kMostPartials) close_run();
    run = extended(run);
  }
  close_run();
  if (whole.requests > 0) parts.push_back(whole);
  return parts;
}

}  // namespace

void CudaOperations::qk_norm_rope_write_kv(const WriteKvArgs& args) {
  const PagedKv cache = checked_cache(args.cache);
  const auto tokens = static_cast<std::int64_t>(args.slot_mapping.size());
  if (tokens == 0) return;
  const std::int64_t q_width = args.q.columns();
  const std::int64_t kv_heads = cache.kv_heads;
  require(q_width % cache.head_dim == 0, "q width");
  require((args.v.data == nullptr) == (cache.value_offset == 0), "v: given exactly where the cache keeps it");
  WriteKv kernel{.q = matrix(args.q, tokens, q_width, "q"),
                 .k = matrix(args.k, tokens, kv_heads * cache.head_dim, "k"),
                 .v = {},
                 .tokens = static_cast<int>(tokens),
                 .heads = static_cast<int>(q_width / cache.head_dim),
                 .q_norm = vector_or_null(args.q_norm, cache.head_dim, "q norm"),
                 .k_norm = vector_or_null(args.k_norm, cache.head_dim, "k norm"),
                 .norm_eps = args.norm_eps,
                 .rope = checked_rope(args),
                 .positions = nullptr,
                 .slot_mapping = stage_.on_device(args.slot_mapping),
                 .cache = cache};
  if (args.v.data != nullptr) kernel.v = const_matrix(args.v, tokens, kv_heads * cache.value_dim, "v");
  if (kernel.rope.rotary_dim > 0) kernel.positions = stage_.on_device(args.positions);
  write_kv(kernel, stream_);
}

void CudaOperations::paged_attention(const PagedAttentionArgs& args) {
  const PagedKv cache = checked_cache(args.cache);
  require(!args.query_start_loc.empty(), "query_start_loc");
  const std::size_t requests = args.query_start_loc.size() - 1;
  const std::int64_t tokens = args.query_start_loc.back();
  if (tokens == 0) return;
  require(args.seq_lens.size() >= requests, "one length a request");
  require(args.block_table.size() >= requests * static_cast<std::size_t>(args.max_blocks), "block table");
  const std::int64_t width = args.q.columns();
  const std::int64_t heads = width / cache.head_dim;
  require(width % cache.head_dim == 0 && heads > 0 && heads % cache.kv_heads == 0, "query heads");
  const PagedAttention kernel{.q = const_matrix(args.q, tokens, width, "q"),
                              .out = matrix(args.out, tokens, heads * cache.value_dim, "attention out"),
                              .cache = cache,
                              .query_start_loc = stage_.on_device(args.query_start_loc),
                              .seq_lens = stage_.on_device(args.seq_lens),
                              .block_table = stage_.on_device(args.block_table),
                              .max_blocks = args.max_blocks,
                              .heads = static_cast<int>(heads),
                              .scale = args.scale,
                              .sliding_window = args.sliding_window,
                              .soft_cap = args.logits_soft_cap,
                              .sinks = vector_or_null(args.sinks, heads, "sinks")};
  if (args.library == KernelLibrary::kFlashInfer) {
    require(flashinfer_ != nullptr, "the kernel library of an attention");
    return flashinfer_->attend(args, kernel);
  }
  for (const AttentionPart& part : parts_of(args, kernel)) {
    const std::size_t floats = partial_floats(kernel, part);
    auto* partials = floats == 0 ? nullptr : static_cast<float*>(partials_.ensure(floats * sizeof(float)));
    cuda::paged_attention(kernel, part, partials, stream_);
  }
}

}  // namespace krait::cuda
