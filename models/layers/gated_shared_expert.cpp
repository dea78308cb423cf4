#include "models/layers/gated_shared_expert.h"

#include "models/weights/weight_loader.h"

namespace krait {

GatedSharedExpert::GatedSharedExpert(GatedMlp mlp, const std::string& gate, std::int64_t hidden_size,
                                     const LayerContext& context)
    : mlp_(std::move(mlp)), gate_({{.name = gate, .out_features = 1}}, hidden_size, context.parallel, {}) {}

void GatedSharedExpert::load(WeightLoader& loader) {
  mlp_.load(loader);
  gate_.load(loader);
}

void GatedSharedExpert::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) const {
  const Workspace::Scope scope(context.workspace);
  const TensorView value = context.workspace.matrix(x.rows(), output.into.columns());
  mlp_.forward(context, x, {.into = value, .accumulate = false});
  const TensorView gate = context.workspace.matrix(x.rows(), 1);
  gate_.forward(context.ops, x, gate);
  context.ops.gate({.x = value,
                    .gate = gate,
                    .gate_width = static_cast<int>(value.columns()),
                    .activation = Activation::kSigmoid,
                    .scale = output.scale,
                    .accumulate = output.accumulate,
                    .out = output.into});
}

}  // namespace krait
