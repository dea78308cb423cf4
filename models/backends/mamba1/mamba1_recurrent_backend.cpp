#include "models/backends/mamba1/mamba1_recurrent_backend.h"

#include "models/backends/selective_state_update.h"
#include "models/backends/token_recurrence.h"

namespace krait {

const BackendCapabilities& Mamba1RecurrentBackend::capabilities() const { return selective_recurrence_capabilities(); }

std::unique_ptr<MetadataBuilder> Mamba1RecurrentBackend::make_metadata_builder(const CacheGroup& /*group*/) const {
  return std::make_unique<MambaMetadataBuilder>();
}

void Mamba1RecurrentBackend::convolve(const BackendContext& context, const MambaMetadata& metadata,
                                      const Mamba1Parameters& parameters, const StateCacheView& state,
                                      const TensorView& x, const TensorView& out) const {
  convolve_waves(*context.ops, metadata.waves(*context.ops),
                 {.x = x,
                  .weight = parameters.conv_weight,
                  .bias = parameters.conv_bias,
                  .silu = true,
                  .state = state,
                  .out = out});
}

void Mamba1RecurrentBackend::prefill(const BackendContext& context, const MambaMetadata& metadata,
                                     const Mamba1Parameters& parameters, const StateCacheView& state,
                                     const Mamba1Activations& activations) const {
  for (const SequenceWave& wave : metadata.waves_p(*context.ops)) {
    context.ops->selective_scan({.x = activations.x,
                                 .dt = activations.dt,
                                 .b = activations.b,
                                 .c = activations.c,
                                 .a = parameters.a,
                                 .d = parameters.d,
                                 .dt_bias = parameters.dt_bias,
                                 .channels = parameters.channels,
                                 .groups = parameters.groups,
                                 .state_size = parameters.state_size,
                                 .batch = wave.batch(),
                                 .state = state,
                                 .y = activations.y});
  }
}

// A group's channels are the rows of one head: they share B and C and have each its own dt, A and D.
void Mamba1RecurrentBackend::decode(const BackendContext& context, const MambaMetadata& metadata,
                                    const Mamba1Parameters& parameters, const StateCacheView& state,
                                    const Mamba1Activations& activations) const {
  SelectiveStateUpdateArgs args;
  args.heads = parameters.groups;
  args.head_dim = parameters.channels / parameters.groups;
  args.groups = parameters.groups;
  args.state_size = parameters.state_size;
  args.x = activations.x;
  args.dt = activations.dt;
  args.dt_per_row = true;
  args.b = activations.b;
  args.c = activations.c;
  args.a = parameters.a.as<const float>();
  args.a_stride_head = std::int64_t{args.head_dim} * args.state_size;
  args.a_stride_row = args.state_size;
  args.a_stride_state = 1;
  args.d = parameters.d.as<const float>();
  args.d_stride_head = args.head_dim;
  args.d_stride_row = 1;
  args.dt_bias = parameters.dt_bias.as<const float>();
  args.state_read = metadata.state_read_d();
  args.state_write = metadata.state_write_d();
  args.positions = metadata.positions_d();
  args.state = state;
  args.y = activations.y;
  context.selective_state_update->update(*context.ops, args);
}

std::unique_ptr<MambaBackend> make_mamba1_recurrent_backend() { return std::make_unique<Mamba1RecurrentBackend>(); }

}  // namespace krait
