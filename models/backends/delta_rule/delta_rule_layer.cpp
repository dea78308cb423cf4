#include "models/backends/delta_rule/delta_rule_layer.h"

#include "models/backends/token_recurrence.h"
#include "models/layers/workspace.h"

namespace krait {

void run_delta_rule(const BackendContext& context, const MambaMetadata& metadata, const DeltaRuleParameters& parameters,
                    const StateCacheView& state, const DeltaRuleActivations& activations) {
  const TensorView convolved = context.workspace->matrix(activations.qkv.rows(), parameters.conv_dim());
  const int keys = parameters.key_size();
  convolve_waves(
      *context.ops, metadata.waves(*context.ops),
      {.x = activations.qkv, .weight = parameters.conv_weight, .silu = true, .state = state, .out = convolved});
  for (const SequenceWave& wave : metadata.waves(*context.ops)) {
    context.ops->delta_rule({.q = convolved.slice_columns(0, keys),
                             .k = convolved.slice_columns(keys, keys),
                             .v = convolved.slice_columns(std::int64_t{2} * keys, parameters.value_size()),
                             .decay = activations.decay,
                             .decay_per_channel = parameters.decay_per_channel,
                             .decay_kind = parameters.decay_kind,
                             .lower_bound = parameters.lower_bound,
                             .a = parameters.a,
                             .decay_bias = parameters.decay_bias,
                             .beta = activations.beta,
                             .beta_scale = parameters.beta_scale,
                             .key_heads = parameters.key_heads,
                             .value_heads = parameters.value_heads,
                             .key_dim = parameters.key_dim,
                             .value_dim = parameters.value_dim,
                             .batch = wave.batch(),
                             .state = state,
                             .out = activations.out});
  }
}

}  // namespace krait
