#include "models/backends/short_conv/short_conv_recurrent_backend.h"

#include "models/backends/token_recurrence.h"

namespace krait {

const BackendCapabilities& ShortConvRecurrentBackend::capabilities() const { return token_recurrence_capabilities(); }

std::unique_ptr<MetadataBuilder> ShortConvRecurrentBackend::make_metadata_builder(const CacheGroup& /*group*/) const {
  return std::make_unique<MambaMetadataBuilder>();
}

void ShortConvRecurrentBackend::convolve(const BackendContext& context, const MambaMetadata& metadata,
                                         const ShortConvParameters& parameters, const StateCacheView& state,
                                         const TensorView& x, const TensorView& out) const {
  convolve_waves(*context.ops, metadata.waves(*context.ops),
                 {.x = x,
                  .weight = parameters.weight,
                  .bias = parameters.bias,
                  .initial = parameters.initial,
                  .silu = false,
                  .state = state,
                  .out = out});
}

void ShortConvRecurrentBackend::convolve_groups(const BackendContext& context, const MambaMetadata& metadata,
                                                const GroupedShortConvParameters& parameters,
                                                const StateCacheView& state, const TensorView& x,
                                                const TensorView& out) const {
  for (const SequenceWave& wave : metadata.waves(*context.ops)) {
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
