#include "models/backends/rg_lru/rg_lru_recurrent_backend.h"

namespace krait {

const BackendCapabilities& RgLruRecurrentBackend::capabilities() const {
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

std::unique_ptr<MetadataBuilder> RgLruRecurrentBackend::make_metadata_builder(const CacheGroup& /*group*/) const {
  return std::make_unique<MambaMetadataBuilder>();
}

void RgLruRecurrentBackend::convolve(const BackendContext& context, const MambaMetadata& metadata,
                                     const RgLruParameters& parameters, const StateCacheView& state,
                                     const TensorView& x, const TensorView& out) const {
  for (const SequenceWave& wave : metadata.step_waves) {
    context.ops->causal_conv1d({.x = x,
                                .weight = parameters.conv_weight,
                                .bias = parameters.conv_bias,
                                .silu = false,
                                .batch = wave.batch(),
                                .state = state,
                                .out = out});
  }
}

void RgLruRecurrentBackend::recur(const BackendContext& context, const MambaMetadata& metadata,
                                  const RgLruParameters& parameters, const StateCacheView& state,
                                  const RgLruActivations& activations) const {
  for (const SequenceWave& wave : metadata.step_waves) {
    context.ops->rg_lru({.x = activations.x,
                         .input_gate = activations.input_gate,
                         .recurrent_gate = activations.recurrent_gate,
                         .a_coefficient = parameters.a_coefficient,
                         .batch = wave.batch(),
                         .state = state,
                         .y = activations.y});
  }
}

std::unique_ptr<MambaBackend> make_rg_lru_recurrent_backend() { return std::make_unique<RgLruRecurrentBackend>(); }

}  // namespace krait
