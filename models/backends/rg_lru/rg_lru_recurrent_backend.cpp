#include "models/backends/rg_lru/rg_lru_recurrent_backend.h"

#include "models/backends/token_recurrence.h"

namespace krait {

const BackendCapabilities& RgLruRecurrentBackend::capabilities() const { return token_recurrence_capabilities(); }

std::unique_ptr<MetadataBuilder> RgLruRecurrentBackend::make_metadata_builder(const CacheGroup& /*group*/) const {
  return std::make_unique<MambaMetadataBuilder>();
}

void RgLruRecurrentBackend::convolve(const BackendContext& context, const MambaMetadata& metadata,
                                     const RgLruParameters& parameters, const StateCacheView& state,
                                     const TensorView& x, const TensorView& out) const {
  convolve_waves(*context.ops, metadata.waves(*context.ops),
                 {.x = x,
                  .weight = parameters.conv_weight,
                  .bias = parameters.conv_bias,
                  .silu = false,
                  .state = state,
                  .out = out});
}

void RgLruRecurrentBackend::recur(const BackendContext& context, const MambaMetadata& metadata,
                                  const RgLruParameters& parameters, const StateCacheView& state,
                                  const RgLruActivations& activations) const {
  for (const SequenceWave& wave : metadata.waves(*context.ops)) {
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
