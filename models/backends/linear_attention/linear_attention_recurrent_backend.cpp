#include "models/backends/linear_attention/linear_attention_recurrent_backend.h"

#include "models/backends/token_recurrence.h"

namespace krait {

const BackendCapabilities& LinearAttentionRecurrentBackend::capabilities() const {
  return token_recurrence_capabilities();
}

std::unique_ptr<MetadataBuilder> LinearAttentionRecurrentBackend::make_metadata_builder(
    const CacheGroup& /*group*/) const {
  return std::make_unique<MambaMetadataBuilder>();
}

void LinearAttentionRecurrentBackend::forward(const BackendContext& context, const MambaMetadata& metadata,
                                              const LinearAttentionParameters& parameters, const StateCacheView& state,
                                              const LinearAttentionActivations& activations) const {
  for (const SequenceWave& wave : metadata.waves(*context.ops)) {
    context.ops->linear_attention({.q = activations.q,
                                   .k = activations.k,
                                   .v = activations.v,
                                   .decay = parameters.decay,
                                   .heads = parameters.heads,
                                   .head_dim = parameters.head_dim,
                                   .batch = wave.batch(),
                                   .state = state,
                                   .out = activations.out});
  }
}

std::unique_ptr<MambaBackend> make_linear_attention_recurrent_backend() {
  return std::make_unique<LinearAttentionRecurrentBackend>();
}

}  // namespace krait
