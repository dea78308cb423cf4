#include "models/layers/short_conv_mixer.h"

#include "models/layers/mamba_state_shapes.h"
#include "models/weights/weight_loader.h"

namespace krait {

ShortConvMixer::ShortConvMixer(std::string name, const ShortConvConfig& config, const LayerContext& context)
    : MambaBase(std::move(name), context),
      config_(config),
      in_proj_({{this->name() + ".in_proj", 3 * std::int64_t{config.hidden_size}}}, config.hidden_size,
               context.parallel, {.bias = config.bias}),
      out_proj_({{this->name() + ".out_proj", config.hidden_size}}, config.hidden_size, context.parallel,
                {.bias = config.bias}) {
  if (context.parallel.size > 1) {
    throw StartupError("layer '" + this->name() + "': a short convolution cannot be split over ranks in this version");
  }
}

std::vector<StateTensorSpec> ShortConvMixer::state_tensors() const {
  return short_conv_state(context(), config_.hidden_size, config_.conv_kernel);
}

void ShortConvMixer::bind_backend(std::size_t spec, const LayerBackend* backend) {
  require_backend<ShortConvBackend>(backend, mamba_type_name(), "ShortConvBackend");
  MambaBase::bind_backend(spec, backend);
}

void ShortConvMixer::load(WeightLoader& loader) {
  in_proj_.load(loader);
  out_proj_.load(loader);
  conv_weight_ = loader.conv_weight(name() + ".conv.weight", config_.hidden_size, config_.conv_kernel);
  if (config_.bias) conv_bias_ = loader.float32(name() + ".conv.bias", {config_.hidden_size});
}

void ShortConvMixer::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) {
  const Workspace::Scope scope(context.workspace);
  const int hidden = config_.hidden_size;
  const TensorView projected = context.workspace.matrix(x.rows(), in_proj_.out_features());
  in_proj_.forward(context.ops, x, projected);
  const TensorView input_gate = projected.slice_columns(0, hidden);
  const TensorView output_gate = projected.slice_columns(hidden, hidden);
  const TensorView inner = projected.slice_columns(2 * std::int64_t{hidden}, hidden);
  context.ops.gate({.x = inner, .gate = input_gate, .activation = Activation::kNone, .out = inner});
  const TensorView y = context.workspace.matrix(x.rows(), hidden);
  bound_backend<ShortConvBackend>().convolve(context.backend(), metadata<MambaMetadata>(context),
                                             {.weight = conv_weight_.view(), .bias = conv_bias_.view()},
                                             std::get<StateCacheView>(cache()), inner, y);
  context.ops.gate({.x = y, .gate = output_gate, .activation = Activation::kNone, .out = y});
  out_proj_.forward(context.ops, y, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

}  // namespace krait
