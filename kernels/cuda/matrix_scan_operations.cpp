#include <algorithm>
#include <cmath>

#include "kernels/cuda/cuda_operations.h"
#include "kernels/cuda/delta/delta_chunks.h"
#include "kernels/cuda/delta/delta_rule.h"
#include "kernels/cuda/linear_attention/linear_attention.h"
#include "kernels/cuda/rg_lru/rg_lru.h"
#include "kernels/cuda/staged_sequences.h"
#include "kernels/cuda/view_checks.h"

/// Recurrences whose state is a matrix a head, and the RG-LRU.
namespace krait::cuda {
namespace {

/// Whether each head's part of a row can be loaded 16 bytes at a time.
bool aligned(const ConstRows& rows, int width) {
  return reinterpret_cast<std::uintptr_t>(rows.data) % 16 == 0 && rows.stride % 4 == 0 && width % 4 == 0;
}

MatrixScan matrix_scan(const Sequences& sequences, const StateCacheView& state, int heads, int value_dim, int key_dim) {
  require(heads > 0 && value_dim > 0 && key_dim > 0, "dimensions of the recurrence");
  require(key_dim <= kMaximumKeyDim, "a recurrence with at most 512 keys a head");
  require(state.slot_stride % 16 == 0, "slots of recurrent states on 16 bytes");
  return {.sequences = sequences,
          .state = recurrent_slots(state),
          .heads = heads,
          .value_dim = value_dim,
          .key_dim = key_dim};
}

/// What the prepared operands of the chunks may take: more chunks go through in turns.
constexpr std::size_t kOperandBytes = std::size_t{128} << 20;

}  // namespace

void CudaOperations::delta_rule_in_chunks(const DeltaRule& kernel, const ScanChunks& cut) {
  const std::size_t bytes =
      delta_chunk_bytes(kernel.scan.key_dim, kernel.scan.value_dim) * static_cast<std::size_t>(kernel.scan.heads);
  const auto chunks = static_cast<int>(cut.chunks.size());
  const int at_once = std::min(chunks, static_cast<int>(std::max<std::size_t>(kOperandBytes / bytes, 1)));
  delta_rule_chunks(kernel,
                    {.first_chunk = stage_.on_device(std::span<const std::int32_t>(cut.first_chunk)),
                     .chunks = stage_.on_device(std::span<const ScanChunk>(cut.chunks)),
                     .end = chunks,
                     .at_once = at_once,
                     .operands = chunk_operands_.ensure(bytes * static_cast<std::size_t>(at_once))},
                    stream_);
}

void CudaOperations::delta_rule(const DeltaRuleArgs& args) {
  const Sequences sequences = staged_sequences(stage_, args.batch);
  if (sequences.count == 0) return;
  const std::int64_t tokens = args.batch.query_start_loc.back();
  require(args.key_heads > 0 && args.value_heads % args.key_heads == 0, "heads of the delta rule");
  const std::int64_t key_width = std::int64_t{args.key_heads} * args.key_dim;
  const std::int64_t value_width = std::int64_t{args.value_heads} * args.value_dim;
  const std::int64_t decay_width =
      args.decay_per_channel ? std::int64_t{args.value_heads} * args.key_dim : args.value_heads;
  DeltaRule kernel{.scan = matrix_scan(sequences, args.state, args.value_heads, args.value_dim, args.key_dim),
                   .q = const_matrix(args.q, tokens, key_width, "q of the delta rule"),
                   .k = const_matrix(args.k, tokens, key_width, "k of the delta rule"),
                   .v = const_matrix(args.v, tokens, value_width, "v of the delta rule"),
                   .decay = const_matrix(args.decay, tokens, decay_width, "decay"),
                   .beta = const_matrix(args.beta, tokens, args.value_heads, "beta"),
                   .decay_per_channel = args.decay_per_channel,
                   .decay_kind = args.decay_kind,
                   .lower_bound = args.lower_bound,
                   .a = vector_or_null(args.a, args.value_heads, "A of the delta rule"),
                   .decay_bias = vector_or_null(args.decay_bias, decay_width, "decay bias"),
                   .beta_scale = args.beta_scale,
                   .q_scale = 1.0F / std::sqrt(static_cast<float>(args.key_dim)),
                   .qk_norm_eps = args.qk_norm_eps,
                   .key_heads = args.key_heads,
                   .out = matrix(args.out, tokens, value_width, "out of the delta rule")};
  require(kernel.a != nullptr, "a delta rule without A");
  kernel.keys_aligned = aligned(kernel.q, args.key_dim) && aligned(kernel.k, args.key_dim);
  const bool chunked = args.key_dim <= kMaximumChunkedKeyDim;
  if (chunked) {
    cut_into_chunks(args.batch, kChunkTokens, kFewestChunkedTokens, delta_chunks_);
    if (!delta_chunks_.chunks.empty()) delta_rule_in_chunks(kernel, delta_chunks_);
    if (!delta_chunks_.others) return;
    kernel.scan.most_tokens = kFewestChunkedTokens - 1;
  }
  delta_rule_scan(kernel, stream_);
}

void CudaOperations::linear_attention(const LinearAttentionArgs& args) {
  const Sequences sequences = staged_sequences(stage_, args.batch);
  if (sequences.count == 0) return;
  const std::int64_t tokens = args.batch.query_start_loc.back();
  const std::int64_t width = std::int64_t{args.heads} * args.head_dim;
  LinearAttention kernel{.scan = matrix_scan(sequences, args.state, args.heads, args.head_dim, args.head_dim),
                         .q = const_matrix(args.q, tokens, width, "q of linear attention"),
                         .k = const_matrix(args.k, tokens, width, "k of linear attention"),
                         .v = const_matrix(args.v, tokens, width, "v of linear attention"),
                         .decay = vector_or_null(args.decay, args.heads, "decay of linear attention"),
                         .out = matrix(args.out, tokens, width, "out of linear attention")};
  require(kernel.decay != nullptr, "linear attention without decay");
  kernel.keys_aligned = aligned(kernel.q, args.head_dim) && aligned(kernel.k, args.head_dim);
  linear_attention_scan(kernel, stream_);
}

void CudaOperations::rg_lru(const RgLruArgs& args) {
  const Sequences sequences = staged_sequences(stage_, args.batch);
  if (sequences.count == 0) return;
  const std::int64_t tokens = args.batch.query_start_loc.back();
  require(args.a_coefficient.data != nullptr, "an RG-LRU without its coefficient");
  const std::int64_t channels = args.a_coefficient.shape.elements();
  cuda::rg_lru({.sequences = sequences,
                .state = recurrent_slots(args.state),
                .x = const_matrix(args.x, tokens, channels, "x of the RG-LRU"),
                .input_gate = const_matrix(args.input_gate, tokens, channels, "input gate"),
                .recurrent_gate = const_matrix(args.recurrent_gate, tokens, channels, "recurrent gate"),
                .a_coefficient = vector_or_null(args.a_coefficient, channels, "coefficient of the RG-LRU"),
                .channels = static_cast<int>(channels),
                .y = matrix(args.y, tokens, channels, "y of the RG-LRU")},
               stream_);
}

}  // namespace krait::cuda
