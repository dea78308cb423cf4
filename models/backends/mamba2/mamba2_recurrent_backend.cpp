#include "models/backends/mamba2/mamba2_recurrent_backend.h"

#include "models/backends/selective_state_update.h"
#include "models/backends/token_recurrence.h"
#include "models/layers/cache_group.h"

namespace krait {
const BackendCapabilities& Mamba2RecurrentBackend::capabilities() const { return selective_recurrence_capabilities(); }

std::unique_ptr<MetadataBuilder> Mamba2RecurrentBackend::make_metadata_builder(const CacheGroup& group) const {
  if (group.chunk_size < 1) {
    throw StartupError(
        "the model's config.json gives no chunk size (`mamba_chunk_size` or `chunk_size`) for its Mamba-2 "
        "layers; layer '" +
        group.layer_names.front() + "' needs one");
  }
  return std::make_unique<Mamba2MetadataBuilder>(group.chunk_size);
}

void Mamba2RecurrentBackend::convolve(const BackendContext& context, const Mamba2Metadata& metadata,
                                      const Mamba2Parameters& parameters, const StateCacheView& state,
                                      const TensorView& x, const TensorView& out) const {
  convolve_waves(*context.ops, metadata.waves(*context.ops),
                 {.x = x,
                  .weight = parameters.conv_weight,
                  .bias = parameters.conv_bias,
                  .silu = true,
                  .state = state,
                  .out = out});
}

void Mamba2RecurrentBackend::prefill(const BackendContext& context, const Mamba2Metadata& metadata,
                                     const Mamba2Parameters& parameters, const StateCacheView& state,
                                     const Mamba2Activations& activations) const {
  for (const SequenceWave& wave : metadata.waves_p(*context.ops)) {
    context.ops->ssm_scan({.x = activations.x,
                           .b = activations.b,
                           .c = activations.c,
                           .dt = activations.dt,
                           .a = parameters.a,
                           .d = parameters.d,
                           .dt_bias = parameters.dt_bias,
                           .dt_min = parameters.dt_min,
                           .dt_max = parameters.dt_max,
                           .heads = parameters.heads,
                           .head_dim = parameters.head_dim,
                           .groups = parameters.groups,
                           .state_size = parameters.state_size,
                           .batch = wave.batch(),
                           .state = state,
                           .y = activations.y});
  }
}

void Mamba2RecurrentBackend::decode(const BackendContext& context, const Mamba2Metadata& metadata,
                                    const Mamba2Parameters& parameters, const StateCacheView& state,
                                    const Mamba2Activations& activations) const {
  SelectiveStateUpdateArgs args;
  args.x = activations.x;
  args.dt = activations.dt;
  args.b = activations.b;
  args.c = activations.c;
  args.a = parameters.a.as<const float>();
  args.d = parameters.d.as<const float>();
  args.dt_bias = parameters.dt_bias.as<const float>();
  args.dt_min = parameters.dt_min;
  args.dt_max = parameters.dt_max;
  args.heads = parameters.heads;
  args.head_dim = parameters.head_dim;
  args.groups = parameters.groups;
  args.state_size = parameters.state_size;
  args.state_read = metadata.state_read_d();
  args.state_write = metadata.state_write_d();
  args.positions = metadata.positions_d();
  args.state = state;
  args.y = activations.y;
  context.selective_state_update->update(*context.ops, args);
}

std::unique_ptr<MambaBackend> make_mamba2_recurrent_backend() { return std::make_unique<Mamba2RecurrentBackend>(); }

}  // namespace krait
