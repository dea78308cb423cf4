#include <algorithm>
#include <cmath>

#include "kernels/cpu/cpu_operations.h"
#include "kernels/cpu/sequence_checks.h"

/// Recurrences whose state is a matrix [value_dim, key_dim] a head.
namespace krait::cpu {
namespace {

MatrixScanKernelArgs matrix_scan(const SequenceBatch& batch, const StateCacheView& state, Index heads, Index value_dim,
                                 Index key_dim, Index threads) {
  require(heads > 0 && value_dim > 0 && key_dim > 0, "dimensions of the recurrence");
  require_recurrent_state(state);
  // Blocks of rows repeat the work on keys and queries, so they are cut only where the heads do not keep the threads
  // busy.
  const Index units = std::max<Index>(num_sequences(batch) * heads, 1);
  const Index blocks = units >= 4 * threads ? 1 : (4 * threads + units - 1) / units;
  constexpr Index kFewestRows = 16;
  return MatrixScanKernelArgs{
      .heads = heads,
      .value_dim = value_dim,
      .key_dim = key_dim,
      .row_block = threads == 1 ? value_dim : std::max((value_dim + blocks - 1) / blocks, kFewestRows),
      .sequences = sequences_of(batch),
      .state = state};
}

Index num_units(const MatrixScanKernelArgs& scan, const SequenceBatch& batch) {
  return num_sequences(batch) * scan.heads * ((scan.value_dim + scan.row_block - 1) / scan.row_block);
}

}  // namespace

void CpuOperations::delta_rule(const DeltaRuleArgs& args) {
  if (num_sequences(args.batch) == 0) return;
  const Index tokens = args.batch.query_start_loc.back();
  require(args.key_heads > 0 && args.value_heads % args.key_heads == 0, "heads of the delta rule");
  const Index key_width = Index{args.key_heads} * args.key_dim;
  const Index value_width = Index{args.value_heads} * args.value_dim;
  const Index decay_width = args.decay_per_channel ? Index{args.value_heads} * args.key_dim : args.value_heads;
  const DeltaRuleKernelArgs kernel{
      .scan = matrix_scan(args.batch, args.state, args.value_heads, args.value_dim, args.key_dim, pool_.size()),
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
  const std::vector<float*> scratch = worker_scratch(kernels_.delta_rule_scratch(kernel));
  pool_.parallel_for(num_units(kernel.scan, args.batch), [&](Index begin, Index end, int worker) {
    kernels_.delta_rule(kernel, begin, end, scratch[static_cast<std::size_t>(worker)]);
  });
}

void CpuOperations::linear_attention(const LinearAttentionArgs& args) {
  if (num_sequences(args.batch) == 0) return;
  const Index tokens = args.batch.query_start_loc.back();
  const Index width = Index{args.heads} * args.head_dim;
  const LinearAttentionKernelArgs kernel{
      .scan = matrix_scan(args.batch, args.state, args.heads, args.head_dim, args.head_dim, pool_.size()),
      .q = const_matrix(args.q, tokens, width, "q of linear attention"),
      .k = const_matrix(args.k, tokens, width, "k of linear attention"),
      .v = const_matrix(args.v, tokens, width, "v of linear attention"),
      .decay = vector_or_null(args.decay, args.heads, "decay of linear attention"),
      .out = matrix(args.out, tokens, width, "out of linear attention")};
  require(kernel.decay != nullptr, "linear attention without decay");
  const std::vector<float*> scratch = worker_scratch(kernels_.linear_attention_scratch(kernel));
  pool_.parallel_for(num_units(kernel.scan, args.batch), [&](Index begin, Index end, int worker) {
    kernels_.linear_attention(kernel, begin, end, scratch[static_cast<std::size_t>(worker)]);
  });
}

}  // namespace krait::cpu
