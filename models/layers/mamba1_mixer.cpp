#include "models/layers/mamba1_mixer.h"

#include "models/layers/decay_rates.h"
#include "models/layers/kernel_choice.h"
#include "models/layers/mamba_state_shapes.h"
#include "models/weights/weight_loader.h"

namespace krait {
namespace {

/// Every second row, from `first` on.
std::vector<std::int32_t> alternating_rows(int count, std::int32_t first) {
  std::vector<std::int32_t> rows;
  for (int i = 0; i < count; ++i) rows.push_back(2 * i + first);
  return rows;
}

/// [x | z]: one matrix as it is stored, or its alternating rows put in that order.
std::vector<LinearPart> in_proj_parts(const std::string& name, const Mamba1Config& config) {
  const std::int64_t both = 2 * std::int64_t{config.channels};
  if (!config.stacked_heads) return {{.name = name, .out_features = both}};
  const auto half = [&](std::int32_t first) {
    return LinearPart{.name = name,
                      .out_features = config.channels,
                      .rows = alternating_rows(config.channels, first),
                      .stored_rows = both};
  };
  return {half(0), half(1)};
}

/// A matrix or vector of channels, stored with the heads apart or not.
Shape stored_shape(const Mamba1Config& config, std::int64_t columns = 0) {
  Shape shape;
  if (config.stacked_heads) shape.push_back(config.heads);
  shape.push_back(config.stacked_heads ? config.channels / config.heads : config.channels);
  if (columns > 0) shape.push_back(columns);
  return shape;
}

}  // namespace

Mamba1Mixer::Mamba1Mixer(std::string name, const Mamba1Config& config, const LayerContext& context)
    : MambaBase(std::move(name), context),
      config_(config),
      in_proj_(in_proj_parts(this->name() + ".in_proj", config), config.hidden_size, context.parallel,
               {.bias = config.proj_bias}),
      input_projection_(this->name(), config),
      out_proj_({{this->name() + ".out_proj", config.hidden_size}}, config.channels, context.parallel,
                {.bias = config.proj_bias}) {
  if (config.channels % config.heads != 0) {
    throw StartupError("layer '" + this->name() + "': " + std::to_string(config.heads) +
                       " Mamba heads do not divide the number of channels (" + std::to_string(config.channels) + ")");
  }
  if (context.parallel.size > 1) {
    throw StartupError("layer '" + this->name() + "': a Mamba-1 layer cannot be split over ranks in this version");
  }
  require_state_update(this->name(), context,
                       {.head_dim = config.channels / config.heads,
                        .state_size = config.state_size,
                        .element_decay = true,
                        .state_dtype = context.ssm_dtype()});
  parameters_.channels = config.channels;
  parameters_.groups = config.heads;
  parameters_.state_size = config.state_size;
}

std::vector<StateTensorSpec> Mamba1Mixer::state_tensors() const {
  return mamba1_state(context(), config_.channels, config_.state_size, config_.conv_kernel);
}

void Mamba1Mixer::bind_backend(std::size_t spec, const LayerBackend* backend) {
  require_backend<Mamba1Backend>(backend, mamba_type_name(), "Mamba1Backend");
  MambaBase::bind_backend(spec, backend);
}

void Mamba1Mixer::load(WeightLoader& loader) {
  in_proj_.load(loader);
  input_projection_.load(loader);
  out_proj_.load(loader);
  conv_weight_ = loader.conv_weight(name() + ".conv1d.weight", config_.channels, config_.conv_kernel);
  if (config_.conv_bias) conv_bias_ = loader.float32(name() + ".conv1d.bias", {config_.channels});
  a_ = loader.transformed(name() + ".A_log", stored_shape(config_, config_.state_size), negative_exp);
  d_ = loader.float32(name() + ".D", stored_shape(config_));
  dt_bias_ =
      loader.float32(name() + (config_.stacked_heads ? ".dt_proj_bias" : ".dt_proj.bias"), stored_shape(config_));
  // Heads lie one after the other, so that their stacks are the channels in order.
  parameters_.conv_weight = conv_weight_.view();
  parameters_.conv_bias = conv_bias_.view();
  parameters_.a = a_.view();
  parameters_.d = d_.view();
  parameters_.dt_bias = dt_bias_.view();
}

void Mamba1Mixer::scan(ForwardContext& context, const Mamba1Activations& step) const {
  const auto& metadata = this->metadata<MambaMetadata>(context);
  const auto& backend = bound_backend<Mamba1Backend>();
  const auto& state = std::get<StateCacheView>(cache());
  const auto part = [&](std::int64_t begin, std::int64_t count) {
    return Mamba1Activations{.x = step.x.slice_rows(begin, count),
                             .dt = step.dt.slice_rows(begin, count),
                             .b = step.b.slice_rows(begin, count),
                             .c = step.c.slice_rows(begin, count),
                             .y = step.y.slice_rows(begin, count)};
  };
  if (metadata.num_decode_tokens > 0) {
    backend.decode(context.backend(), metadata, parameters_, state, part(0, metadata.num_decode_tokens));
  }
  if (metadata.num_prefill_tokens > 0) {
    backend.prefill(context.backend(), metadata, parameters_, state,
                    part(metadata.num_decode_tokens, metadata.num_prefill_tokens));
  }
}

void Mamba1Mixer::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) {
  const Workspace::Scope scope(context.workspace);
  const std::int64_t tokens = x.rows();
  const TensorView projected = context.workspace.matrix(tokens, 2 * std::int64_t{config_.channels});
  in_proj_.forward(context.ops, x, projected);
  const TensorView inner = context.workspace.matrix(tokens, config_.channels);
  bound_backend<Mamba1Backend>().convolve(context.backend(), metadata<MambaMetadata>(context), parameters_,
                                          std::get<StateCacheView>(cache()),
                                          projected.slice_columns(0, config_.channels), inner);
  const Mamba1InputProjection::Result selected = input_projection_.forward(context, inner);
  const TensorView y = context.workspace.matrix(tokens, config_.channels);
  scan(context, {.x = inner, .dt = selected.dt, .b = selected.b, .c = selected.c, .y = y});
  context.ops.gate({.x = y,
                    .gate = projected.slice_columns(config_.channels, config_.channels),
                    .activation = Activation::kSilu,
                    .out = y});
  out_proj_.forward(context.ops, y, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

}  // namespace krait
