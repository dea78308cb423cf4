#include <algorithm>

#include "kernels/cpu/cpu_operations.h"
#include "kernels/cpu/view_checks.h"

namespace krait::cpu {
namespace {

/// The cache with its value_dim written out.
KvCacheView checked_cache(KvCacheView cache) {
  require(cache.base != nullptr && cache.block_size > 0 && cache.kv_heads > 0 && cache.head_dim > 0, "KV cache");
  require(is_kernel_float(cache.dtype) || cache.dtype == DType::kInt8, "KV cache dtype");
  if (cache.value_dim == 0) cache.value_dim = cache.head_dim;
  require(cache.value_dim > 0 && (cache.value_offset > 0 || cache.value_dim <= cache.head_dim), "value_dim");
  return cache;
}

RopeKernelArgs checked_rope(const WriteKvArgs& args) {
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

/// Tokens of a block: large ones load the keys less often, but every thread should have work.
std::int32_t tokens_of_block(Index tokens, Index heads_per_unit, Index units_per_token, Index threads) {
  const Index most = std::max<Index>(kAttentionBlockRows / heads_per_unit, kAttentionBlockTokens);
  const Index even = tokens * units_per_token / (2 * threads);
  return static_cast<std::int32_t>(std::clamp<Index>(even, kAttentionBlockTokens, most));
}

/// Cuts every request's query tokens into blocks that share their loads of keys and values.
std::vector<AttentionBlock> cut_blocks(const PagedAttentionArgs& args, std::int32_t block_tokens) {
  std::vector<AttentionBlock> blocks;
  for (std::size_t r = 0; r + 1 < args.query_start_loc.size(); ++r) {
    const std::int32_t begin = args.query_start_loc[r];
    const std::int32_t end = args.query_start_loc[r + 1];
    const std::int32_t computed = args.seq_lens[r] - (end - begin);
    if (begin == end) continue;
    require(computed >= 0 && args.seq_lens[r] <= args.max_blocks * args.cache.block_size, "sequence lengths");
    for (std::int32_t token = begin; token < end; token += block_tokens) {
      blocks.push_back(AttentionBlock{.request = static_cast<std::int32_t>(r),
                                      .first_token = token,
                                      .tokens = std::min(block_tokens, end - token),
                                      .first_position = computed + token - begin});
    }
  }
  return blocks;
}

/// Segments that the longest block sees keys of.
Index most_segments(const std::vector<AttentionBlock>& blocks, Index window) {
  Index most = 1;
  for (const AttentionBlock& block : blocks) {
    const Index first = window > 0 ? std::max<Index>(block.first_position - window + 1, 0) : 0;
    const Index last = Index{block.first_position} + block.tokens - 1;
    most = std::max(most, last / kAttentionSegment - first / kAttentionSegment + 1);
  }
  return most;
}

}  // namespace

void CpuOperations::qk_norm_rope_write_kv(const WriteKvArgs& args) {
  const KvCacheView cache = checked_cache(args.cache);
  const auto tokens = static_cast<Index>(args.slot_mapping.size());
  if (tokens == 0) return;
  const Index q_width = args.q.columns();
  require(q_width % cache.head_dim == 0, "q width");
  require((args.v.data == nullptr) == (cache.value_offset == 0), "v: given exactly where the cache keeps it");
  const WriteKvKernelArgs kernel{.q = matrix(args.q, tokens, q_width, "q"),
                                 .k = matrix(args.k, tokens, Index{cache.kv_heads} * cache.head_dim, "k"),
                                 .v = args.v.data == nullptr
                                          ? ConstRows{}
                                          : const_matrix(args.v, tokens, Index{cache.kv_heads} * cache.value_dim, "v"),
                                 .heads = q_width / cache.head_dim,
                                 .q_norm = vector_or_null(args.q_norm, cache.head_dim, "q norm"),
                                 .k_norm = vector_or_null(args.k_norm, cache.head_dim, "k norm"),
                                 .norm_eps = args.norm_eps,
                                 .rope = checked_rope(args),
                                 .positions = args.positions.data(),
                                 .slot_mapping = args.slot_mapping.data(),
                                 .cache = cache};
  pool_.parallel_for(tokens, [&](Index begin, Index end, int) { kernels_.write_kv(kernel, begin, end); });
}

void CpuOperations::paged_attention(const PagedAttentionArgs& args) {
  require(args.library == KernelLibrary::kNative, "the kernel library of an attention");
  const KvCacheView cache = checked_cache(args.cache);
  const Index tokens = args.query_start_loc.back();
  const Index width = args.q.columns();
  const Index heads = width / cache.head_dim;
  require(width % cache.head_dim == 0 && heads % cache.kv_heads == 0, "query heads");
  const Index group = heads / cache.kv_heads;
  const Index heads_per_unit = std::min(group, kAttentionUnitHeads);
  const Index parts = (group + heads_per_unit - 1) / heads_per_unit;
  const std::int32_t block_tokens = tokens_of_block(tokens, heads_per_unit, cache.kv_heads * parts, pool_.size());
  const std::vector<AttentionBlock> blocks = cut_blocks(args, block_tokens);
  if (blocks.empty()) return;
  AttentionKernelArgs kernel{.q = const_matrix(args.q, tokens, width, "q"),
                             .out = matrix(args.out, tokens, heads * cache.value_dim, "attention out"),
                             .cache = cache,
                             .blocks = blocks.data(),
                             .block_table = args.block_table.data(),
                             .max_blocks = args.max_blocks,
                             .heads = heads,
                             .heads_per_unit = heads_per_unit,
                             .block_tokens = block_tokens,
                             .scale = args.scale,
                             .sliding_window = args.sliding_window,
                             .soft_cap = args.logits_soft_cap,
                             .sinks = vector_or_null(args.sinks, heads, "sinks")};
  Index units = static_cast<Index>(blocks.size()) * cache.kv_heads * parts;
  const Index segments = most_segments(blocks, args.sliding_window);
  const Index partial = kernels_.attention_partial(kernel);
  std::vector<std::uint32_t> finished;
  // A long sequence alone keeps all threads busy when its segments are units. What they leave to be merged must stay
  // small beside the keys.
  constexpr Index kMostPartialFloats = Index{1} << 24;
  if (pool_.size() > 1 && segments > 1 && units < 4 * pool_.size() &&
      units * segments * partial <= kMostPartialFloats) {
    finished.resize(static_cast<std::size_t>(units));
    units *= segments;
    kernel.segments = segments;
    kernel.partials = attention_partials_.ensure(units * partial);
    kernel.finished = finished.data();
  }
  const std::vector<float*> scratch = worker_scratch(kernels_.attention_scratch(kernel));
  pool_.parallel_for(units, [&](Index begin, Index end, int worker) {
    kernels_.attention(kernel, begin, end, scratch[static_cast<std::size_t>(worker)]);
  });
}

}  // namespace krait::cpu
