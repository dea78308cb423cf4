#include "kernels/cpu/cpu_operations.h"
#include "kernels/cpu/sequence_checks.h"

namespace krait::cpu {
void CpuOperations::causal_conv1d(const CausalConv1dArgs& args) {
  const Index sequences = num_sequences(args.batch);
  if (sequences == 0) return;
  const Index tokens = args.batch.query_start_loc.back();
  const Index kernel_size = args.weight.rows();
  const Index channels = args.weight.columns();
  require(kernel_size >= 1 && is_kernel_float(args.state.conv_dtype), "convolution weight or state");
  require(kernel_size == 1 || args.state.conv != nullptr, "convolution state");
  const ConvKernelArgs kernel{.x = const_matrix(args.x, tokens, channels, "x of the convolution"),
                              .weight = const_matrix(args.weight, kernel_size, channels, "convolution weight"),
                              .bias = vector_or_null(args.bias, channels, "convolution bias"),
                              .initial = vector_or_null(args.initial, channels, "initial inputs of the convolution"),
                              .silu = args.silu,
                              .kernel = kernel_size,
                              .channels = channels,
                              .sequences = sequences_of(args.batch),
                              .state = args.state,
                              .out = matrix(args.out, tokens, channels, "convolution out")};
  const std::vector<float*> scratch = worker_scratch(kernels_.conv_scratch(kernel));
  const Index blocks = (channels + kConvBlockChannels - 1) / kConvBlockChannels;
  pool_.parallel_for(sequences * blocks, [&](Index begin, Index end, int worker) {
    kernels_.conv(kernel, begin, end, scratch[static_cast<std::size_t>(worker)]);
  });
}

void CpuOperations::ssm_scan(const SsmScanArgs& args) {
  const Index sequences = num_sequences(args.batch);
  if (sequences == 0) return;
  const Index tokens = args.batch.query_start_loc.back();
  const Index width = Index{args.heads} * args.head_dim;
  const Index group_width = Index{args.groups} * args.state_size;
  require(args.groups > 0 && args.heads % args.groups == 0, "groups of the scan");
  require_selective_state(args.state);
  const SsmKernelArgs kernel{.x = const_matrix(args.x, tokens, width, "x of the scan"),
                             .dt = const_matrix(args.dt, tokens, args.heads, "dt"),
                             .b = const_matrix(args.b, tokens, group_width, "B"),
                             .c = const_matrix(args.c, tokens, group_width, "C"),
                             .a = vector_or_null(args.a, args.heads, "A"),
                             .d = vector_or_null(args.d, args.heads, "D"),
                             .dt_bias = vector_or_null(args.dt_bias, args.heads, "dt bias"),
                             .dt_min = args.dt_min,
                             .dt_max = args.dt_max,
                             .heads = args.heads,
                             .head_dim = args.head_dim,
                             .groups = args.groups,
                             .state_size = args.state_size,
                             .sequences = sequences_of(args.batch),
                             .state = args.state,
                             .y = matrix(args.y, tokens, width, "y of the scan")};
  require(kernel.a != nullptr, "a scan without A");
  const std::vector<float*> scratch = worker_scratch(kernels_.ssm_scratch(kernel));
  pool_.parallel_for(sequences * args.heads, [&](Index begin, Index end, int worker) {
    kernels_.ssm_scan(kernel, begin, end, scratch[static_cast<std::size_t>(worker)]);
  });
}

void CpuOperations::selective_state_update(const SelectiveStateUpdateArgs& args) {
  require(args.library == KernelLibrary::kNative, "the kernel library of a state update");
  const auto batch = static_cast<Index>(args.state_read.size());
  const Index tokens = batch * args.tokens;
  const Index width = Index{args.heads} * args.head_dim;
  const Index group_width = Index{args.groups} * args.state_size;
  require(args.groups > 0 && args.heads % args.groups == 0 && args.a != nullptr, "groups or A of the state update");
  require(args.tokens >= 1 && static_cast<Index>(args.state_write.size()) == tokens, "state slots");
  require(args.has_initial_state.empty() || args.has_initial_state.size() == args.state_read.size(),
          "initial state flags");
  require(args.positions.empty() || args.positions.size() == args.state_read.size(), "positions");
  require_selective_state(args.state);
  StateUpdateKernelArgs kernel;
  kernel.ssm = SsmKernelArgs{.x = const_matrix(args.x, tokens, width, "x of the state update"),
                             .dt = const_matrix(args.dt, tokens, args.dt_per_row ? width : args.heads, "dt"),
                             .b = const_matrix(args.b, tokens, group_width, "B"),
                             .c = const_matrix(args.c, tokens, group_width, "C"),
                             .a = args.a,
                             .d = args.d,
                             .dt_bias = args.dt_bias,
                             .dt_min = args.dt_min,
                             .dt_max = args.dt_max,
                             .heads = args.heads,
                             .head_dim = args.head_dim,
                             .groups = args.groups,
                             .state_size = args.state_size,
                             .sequences = {.query_start_loc = nullptr,
                                           .state_read = args.state_read.data(),
                                           .state_write = args.state_write.data(),
                                           .has_initial_state = args.has_initial_state.data(),
                                           .num_computed_tokens = args.positions.data()},
                             .state = args.state,
                             .y = matrix(args.y, tokens, width, "y of the state update")};
  if (args.has_initial_state.empty()) kernel.ssm.sequences.has_initial_state = nullptr;
  if (args.positions.empty()) kernel.ssm.sequences.num_computed_tokens = nullptr;
  if (args.z.data != nullptr) kernel.z = const_matrix(args.z, tokens, width, "z");
  kernel.tokens = args.tokens;
  kernel.dt_per_row = args.dt_per_row;
  kernel.dt_softplus = args.dt_softplus;
  kernel.a_stride_head = args.a_stride_head;
  kernel.a_stride_row = args.a_stride_row;
  kernel.a_stride_state = args.a_stride_state;
  kernel.d_stride_head = args.d_stride_head;
  kernel.d_stride_row = args.d_stride_row;
  const std::vector<float*> scratch = worker_scratch(kernels_.ssm_scratch(kernel.ssm));
  const Index blocks = (Index{args.head_dim} + kStateUpdateRows - 1) / kStateUpdateRows;
  pool_.parallel_for(batch * args.heads * blocks, [&](Index begin, Index end, int worker) {
    kernels_.state_update(kernel, begin, end, scratch[static_cast<std::size_t>(worker)]);
  });
}

}  // namespace krait::cpu
