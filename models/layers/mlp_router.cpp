#include "models/layers/mlp_router.h"

#include "models/weights/weight_loader.h"

namespace krait {
namespace {

Linear float32_linear(const std::string& name, std::int64_t outputs, std::int64_t inputs, bool bias,
                      const LayerContext& context) {
  return {{{.name = name, .out_features = outputs}},
          inputs,
          context.parallel,
          {.bias = bias, .compute_dtype = DType::kFloat32}};
}

}  // namespace

MlpRouter::MlpRouter(std::string name, const Config& config, const LayerContext& context)
    : name_(std::move(name)),
      config_(config),
      down_proj_(float32_linear(name_ + ".down_proj", config.router_size, config.hidden_size, true, context)),
      norm_(name_ + ".router_mlp.norm", config.router_size, config.norm_eps),
      fc1_(float32_linear(name_ + ".router_mlp.fc1", config.router_size, config.router_size, true, context)),
      fc2_(float32_linear(name_ + ".router_mlp.fc2", config.router_size, config.router_size, true, context)),
      out_proj_(float32_linear(name_ + ".router_mlp.out_proj", config.classes, config.router_size, false, context)) {}

void MlpRouter::load(WeightLoader& loader) {
  down_proj_.load(loader);
  norm_.load(loader);
  fc1_.load(loader);
  fc2_.load(loader);
  out_proj_.load(loader);
  if (!config_.first_layer) states_scale_ = loader.float32(name_ + ".router_states_scale", {config_.router_size});
}

void MlpRouter::forward(ForwardContext& context, const TensorView& x, const TensorView& states,
                        const TensorView& logits) const {
  const Workspace::Scope scope(context.workspace);
  if (!config_.first_layer) {
    context.ops.scaled_add({.first = {.x = states, .weight = states_scale_.view()}, .out = states});
  }
  down_proj_.forward(context.ops, x, states, {.accumulate = !config_.first_layer});
  const TensorView a = context.workspace.matrix(x.rows(), config_.router_size);
  const TensorView b = context.workspace.matrix(x.rows(), config_.router_size);
  norm_.forward(context.ops, states, a);
  fc1_.forward(context.ops, a, b, {.activation = Activation::kGelu});
  fc2_.forward(context.ops, b, a, {.activation = Activation::kGelu});
  out_proj_.forward(context.ops, a, logits);
}

}  // namespace krait
