#include "models/layers/mamba2_mixer.h"

#include <cmath>

#include "models/layers/mamba_state_shapes.h"
#include "models/weights/weight_loader.h"

namespace krait {
namespace {

std::int64_t inner_size(const Mamba2Config& config) { return std::int64_t{config.heads} * config.head_dim; }
std::int64_t conv_dim(const Mamba2Config& config) {
  return inner_size(config) + 2 * std::int64_t{config.groups} * config.state_size;
}

}  // namespace

Mamba2Mixer::Mamba2Mixer(std::string name, const Mamba2Config& config, const LayerContext& context)
    : MambaBase(std::move(name), context),
      config_(config),
      in_proj_({{this->name() + ".in_proj", inner_size(config) + conv_dim(config) + config.heads}}, config.hidden_size,
               context.parallel, {.bias = config.proj_bias}),
      out_proj_({{this->name() + ".out_proj", config.hidden_size}}, inner_size(config), context.parallel,
                {.bias = config.proj_bias}) {
  if (config.heads % config.groups != 0) {
    throw StartupError("layer '" + this->name() + "': " + std::to_string(config.groups) +
                       " groups do not divide the number of Mamba-2 heads (" + std::to_string(config.heads) + ")");
  }
  if (context.parallel.size > 1) {
    // in_proj is one tensor with five parts of unequal meaning; its split arrives with tensor parallelism.
    throw StartupError("layer '" + this->name() + "': a Mamba-2 layer cannot be split over ranks in this version");
  }
  parameters_.heads = config.heads;
  parameters_.head_dim = config.head_dim;
  parameters_.groups = config.groups;
  parameters_.state_size = config.state_size;
  parameters_.dt_min = config.dt_min;
  parameters_.dt_max = config.dt_max;
}

std::vector<StateTensorSpec> Mamba2Mixer::state_tensors() const {
  return mamba2_state(context(), config_.heads, config_.head_dim, config_.groups, config_.state_size,
                      config_.conv_kernel);
}

void Mamba2Mixer::bind_backend(std::size_t spec, const LayerBackend* backend) {
  require_backend<Mamba2Backend>(backend, mamba_type_name(), "Mamba2Backend");
  MambaBase::bind_backend(spec, backend);
}

void Mamba2Mixer::load(WeightLoader& loader) {
  in_proj_.load(loader);
  out_proj_.load(loader);
  const Shape per_head{config_.heads};
  conv_weight_ = loader.conv_weight(name() + ".conv1d.weight", conv_dim(config_), config_.conv_kernel);
  if (config_.conv_bias) conv_bias_ = loader.float32(name() + ".conv1d.bias", {conv_dim(config_)});
  a_ = loader.float32(name() + ".A_log", per_head);
  d_ = loader.float32(name() + ".D", per_head);
  dt_bias_ = loader.float32(name() + ".dt_bias", per_head);
  norm_ = loader.float32(name() + ".norm.weight", {inner_size(config_)});
  if (a_.defined()) {
    // Kept as A = -exp(A_log), computed once in double so that no platform's exp decides its last bit.
    float* a = a_.view().as<float>();
    for (int h = 0; h < config_.heads; ++h) a[h] = static_cast<float>(-std::exp(static_cast<double>(a[h])));
  }
  parameters_.conv_weight = conv_weight_.view();
  parameters_.conv_bias = conv_bias_.view();
  parameters_.a = a_.view();
  parameters_.d = d_.view();
  parameters_.dt_bias = dt_bias_.view();
}

void Mamba2Mixer::scan(ForwardContext& context, const TensorView& projected, const TensorView& y) {
  const auto& metadata = this->metadata<Mamba2Metadata>(context);
  const auto& backend = bound_backend<Mamba2Backend>();
  const auto& state = std::get<StateCacheView>(cache());
  const std::int64_t inner = inner_size(config_);
  const auto part = [&](std::int64_t begin, std::int64_t count) {
    return Mamba2Activations{
        .xbc = projected.slice_columns(inner, conv_dim(config_)).slice_rows(begin, count),
        .dt = projected.slice_columns(inner + conv_dim(config_), config_.heads).slice_rows(begin, count),
        .y = y.slice_rows(begin, count)};
  };
  if (metadata.num_decode_tokens > 0) {
    backend.decode(context.backend(), metadata, parameters_, state, part(0, metadata.num_decode_tokens));
  }
  if (metadata.num_prefill_tokens > 0) {
    backend.prefill(context.backend(), metadata, parameters_, state,
                    part(metadata.num_decode_tokens, metadata.num_prefill_tokens));
  }
}

void Mamba2Mixer::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) {
  const Workspace::Scope scope(context.workspace);
  const std::int64_t tokens = x.rows();
  const TensorView projected = context.workspace.matrix(tokens, in_proj_.out_features());
  in_proj_.forward(context.ops, x, projected);
  const TensorView y = context.workspace.matrix(tokens, inner_size(config_));
  scan(context, projected, y);
  context.ops.gated_rms_norm({.y = y,
                              .z = projected.slice_columns(0, inner_size(config_)),
                              .weight = norm_.view(),
                              .groups = config_.groups,
                              .eps = config_.norm_eps,
                              .order = config_.gate_order,
                              .out = y});
  out_proj_.forward(context.ops, y, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

}  // namespace krait
