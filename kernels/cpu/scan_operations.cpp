#include "kernels/cpu/cpu_operations.h"
#include "kernels/cpu/sequence_checks.h"

/// Recurrences whose channels do not see each other.
namespace krait::cpu {

void CpuOperations::selective_scan(const SelectiveScanArgs& args) {
  const Index sequences = num_sequences(args.batch);
  if (sequences == 0) return;
  const Index tokens = args.batch.query_start_loc.back();
  const Index channels = args.channels;
  const Index group_width = Index{args.groups} * args.state_size;
  require(args.groups > 0 && channels % args.groups == 0, "groups of the scan");
  require_selective_state(args.state);
  const SelectiveScanKernelArgs kernel{.x = const_matrix(args.x, tokens, channels, "x of the scan"),
                                       .dt = const_matrix(args.dt, tokens, channels, "dt"),
                                       .b = const_matrix(args.b, tokens, group_width, "B"),
                                       .c = const_matrix(args.c, tokens, group_width, "C"),
                                       .a = vector_or_null(args.a, channels * args.state_size, "A"),
                                       .d = vector_or_null(args.d, channels, "D"),
                                       .dt_bias = vector_or_null(args.dt_bias, channels, "dt bias"),
                                       .channels = channels,
                                       .groups = args.groups,
                                       .state_size = args.state_size,
                                       .sequences = sequences_of(args.batch),
                                       .state = args.state,
                                       .y = matrix(args.y, tokens, channels, "y of the scan")};
  require(kernel.a != nullptr, "a scan without A");
  const std::vector<float*> scratch = worker_scratch(kernels_.selective_scan_scratch(kernel));
  const Index blocks = (channels + kSelectiveScanChannels - 1) / kSelectiveScanChannels;
  pool_.parallel_for(sequences * blocks, [&](Index begin, Index end, int worker) {
    kernels_.selective_scan(kernel, begin, end, scratch[static_cast<std::size_t>(worker)]);
  });
}

void CpuOperations::rg_lru(const RgLruArgs& args) {
  const Index sequences = num_sequences(args.batch);
  if (sequences == 0) return;
  const Index tokens = args.batch.query_start_loc.back();
  const Index channels = args.a_coefficient.shape.elements();
  require(args.a_coefficient.data != nullptr, "an RG-LRU without its coefficient");
  require_recurrent_state(args.state);
  const RgLruKernelArgs kernel{
      .x = const_matrix(args.x, tokens, channels, "x of the RG-LRU"),
      .input_gate = const_matrix(args.input_gate, tokens, channels, "input gate"),
      .recurrent_gate = const_matrix(args.recurrent_gate, tokens, channels, "recurrent gate"),
      .a_coefficient = vector_or_null(args.a_coefficient, channels, "coefficient of the RG-LRU"),
      .channels = channels,
      .sequences = sequences_of(args.batch),
      .state = args.state,
      .y = matrix(args.y, tokens, channels, "y of the RG-LRU")};
  const Index blocks = (channels + kRgLruChannels - 1) / kRgLruChannels;
  pool_.parallel_for(sequences * blocks, [&](Index begin, Index end, int) { kernels_.rg_lru(kernel, begin, end); });
}

}  // namespace krait::cpu
