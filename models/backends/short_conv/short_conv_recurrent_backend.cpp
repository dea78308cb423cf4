#include "models/backends/short_conv/short_conv_recurrent_backend.h"

namespace krait {

const BackendCapabilities& ShortConvRecurrentBackend::capabilities() const {
  static const BackendCapabilities capabilities{
      .platforms = {},
      .state_dtypes = {DType::kFloat32, DType::kFloat16, DType::kBFloat16},
      .exact_splits = true,
      .snapshots_inside_prefill = true,
      .drafts = false,
      .batch_invariant = true,
      .graph_capture = false,
  };
  return capabilities;
}

std::unique_ptr<MetadataBuilder> ShortConvRecurrentBackend::make_metadata_builder(const CacheGroup& /*group*/) const {
  return std::make_unique<MambaMetadataBuilder>();
}

void ShortConvRecurrentBackend::convolve(const BackendContext& context, const MambaMetadata& metadata,
                                         const ShortConvParameters& parameters, const StateCacheView& state,
                                         const TensorView& x, const TensorView& out) const {
  for (const SequenceWave& wave : metadata.step_waves) {
    context.ops->causal_conv1d({.x = x,
                                .weight = parameters.weight,
                                .bias = parameters.bias,
                                .initial = parameters.initial,
                                .silu = false,
                                .batch = wave.batch(),
                                .state = state,
                                .out = out});
  }
}

void ShortConvRecurrentBackend::convolve_groups(const BackendContext& context, const MambaMetadata& metadata,
                                                const GroupedShortConvParameters& parameters,
                                                const StateCacheView& state, const TensorView& x,
                                                const TensorView& out) const {
  for (const SequenceWave& wave : metadata.step_waves) {
    context.ops->grouped_causal_conv1d({.x = x,
                                        .weights = parameters.weights,
                                        .groups = parameters.groups,
                                        .kernel = parameters.kernel,
                                        .bias = parameters.bias,
                                        .initial = parameters.initial,
                                        .batch = wave.batch(),
                                        .state = state,
                                        .out = out});
  }
}

std::unique_ptr<MambaBackend> make_short_conv_recurrent_backend() {
  return std::make_unique<ShortConvRecurrentBackend>();
}

}  // namespace krait
