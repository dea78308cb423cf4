#include "models/layers/mamba2_base.h"

#include <cmath>

#include "models/layers/decay_rates.h"
#include "models/layers/kernel_choice.h"
#include "models/layers/mamba_state_shapes.h"
#include "models/weights/weight_loader.h"

namespace krait {

Mamba2Base::Mamba2Base(std::string name, const Mamba2Dimensions& dimensions, ConvInput conv_input,
                       const LayerContext& context)
    : MambaBase(std::move(name), context),
      conv_kernel_(dimensions.conv_kernel),
      chunk_size_(dimensions.chunk_size),
      conv_bias_on_(dimensions.conv_bias) {
  if (dimensions.heads % dimensions.groups != 0) {
    throw StartupError("layer '" + this->name() + "': " + std::to_string(dimensions.groups) +
                       " groups do not divide the number of Mamba-2 heads (" + std::to_string(dimensions.heads) + ")");
  }
  if (context.parallel.size > 1) {
    // in_proj is one tensor with parts of unequal meaning; its split arrives with tensor parallelism.
    throw StartupError("layer '" + this->name() + "': a Mamba-2 layer cannot be split over ranks in this version");
  }
  require_state_update(
      this->name(), context,
      {.head_dim = dimensions.head_dim,
       .state_size = dimensions.state_size,
       .dt_limit = dimensions.dt_min > 0.0F || (dimensions.dt_max > 0.0F && std::isfinite(dimensions.dt_max)),
       .state_dtype = context.ssm_dtype()});
  parameters_.heads = dimensions.heads;
  parameters_.head_dim = dimensions.head_dim;
  parameters_.groups = dimensions.groups;
  parameters_.state_size = dimensions.state_size;
  parameters_.dt_min = dimensions.dt_min;
  parameters_.dt_max = dimensions.dt_max;
  conv_channels_ = inner_size() + (conv_input == ConvInput::kXBC ? 2 * group_columns() : 0);
}

std::vector<StateTensorSpec> Mamba2Base::state_tensors() const {
  // A convolution over x alone is one without groups.
  const int conv_groups = conv_channels_ == inner_size() ? 0 : parameters_.groups;
  return mamba2_state(context(), parameters_.heads, parameters_.head_dim, conv_groups, parameters_.state_size,
                      conv_kernel_);
}

void Mamba2Base::bind_backend(std::size_t spec, const LayerBackend* backend) {
  require_backend<Mamba2Backend>(backend, mamba_type_name(), "Mamba2Backend");
  MambaBase::bind_backend(spec, backend);
}

void Mamba2Base::load_recurrence(WeightLoader& loader) {
  const Shape per_head{parameters_.heads};
  conv_weight_ = loader.conv_weight(name() + ".conv1d.weight", conv_channels_, conv_kernel_);
  if (conv_bias_on_) conv_bias_ = loader.float32(name() + ".conv1d.bias", {conv_channels_});
  a_ = loader.transformed(name() + ".A_log", per_head, negative_exp);
  d_ = loader.float32(name() + ".D", per_head);
  dt_bias_ = loader.float32(name() + ".dt_bias", per_head);
  parameters_.conv_weight = conv_weight_.view();
  parameters_.conv_bias = conv_bias_.view();
  parameters_.a = a_.view();
  parameters_.d = d_.view();
  parameters_.dt_bias = dt_bias_.view();
}

TensorView Mamba2Base::convolve(ForwardContext& context, const TensorView& x) const {
  const TensorView out = context.workspace.matrix(x.rows(), conv_channels_);
  bound_backend<Mamba2Backend>().convolve(context.backend(), metadata<Mamba2Metadata>(context), parameters_,
                                          std::get<StateCacheView>(cache()), x, out);
  return out;
}

void Mamba2Base::scan(ForwardContext& context, const Mamba2Activations& activations) const {
  const auto& metadata = this->metadata<Mamba2Metadata>(context);
  const auto& backend = bound_backend<Mamba2Backend>();
  const auto& state = std::get<StateCacheView>(cache());
  const auto part = [&](std::int64_t begin, std::int64_t count) {
    return Mamba2Activations{.x = activations.x.slice_rows(begin, count),
                             .b = activations.b.slice_rows(begin, count),
                             .c = activations.c.slice_rows(begin, count),
                             .dt = activations.dt.slice_rows(begin, count),
                             .y = activations.y.slice_rows(begin, count)};
  };
  if (metadata.num_decode_tokens > 0) {
    backend.decode(context.backend(), metadata, parameters_, state, part(0, metadata.num_decode_tokens));
  }
  if (metadata.num_prefill_tokens > 0) {
    backend.prefill(context.backend(), metadata, parameters_, state,
                    part(metadata.num_decode_tokens, metadata.num_prefill_tokens));
  }
}

}  // namespace krait
