#include "models/backends/token_recurrence.h"

namespace krait {

const BackendCapabilities& token_recurrence_capabilities() {
  static const BackendCapabilities capabilities{
      .platforms = {},
      .state_dtypes = {DType::kFloat32, DType::kFloat16, DType::kBFloat16},
      .exact_splits = true,
      .snapshots_inside_prefill = true,
      .drafts = false,
      .batch_invariant = true,
      .graph_capture = true,
  };
  return capabilities;
}

const BackendCapabilities& selective_recurrence_capabilities() {
  static const BackendCapabilities capabilities = [] {
    BackendCapabilities selective = token_recurrence_capabilities();
    selective.stochastic_rounding = true;
    return selective;
  }();
  return capabilities;
}

void convolve_waves(Operations& ops, std::span<const SequenceWave> waves, CausalConv1dArgs args) {
  for (const SequenceWave& wave : waves) {
    args.batch = wave.batch();
    ops.causal_conv1d(args);
  }
}

}  // namespace krait
