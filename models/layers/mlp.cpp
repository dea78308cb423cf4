#include "models/layers/mlp.h"

#include "models/weights/weight_loader.h"

namespace krait {
namespace {

std::vector<LinearPart> gate_up_parts(const std::vector<std::string>& names, std::int64_t intermediate) {
  const std::int64_t rows = names.size() == 1 ? 2 * intermediate : intermediate;
  std::vector<LinearPart> parts;
  for (const std::string& name : names) parts.push_back({.name = name, .out_features = rows});
  return parts;
}

}  // namespace

GatedMlp::GatedMlp(Names names, std::int64_t hidden_size, std::int64_t intermediate_size, const Options& options,
                   const LayerContext& context)
    : options_(options),
      intermediate_(context.parallel.divide(static_cast<int>(intermediate_size), "the width of the MLP")),
      gate_up_(gate_up_parts(names.gate_up, intermediate_size), hidden_size, context.parallel,
               {.bias = options.bias, .gate_up = true, .parallel = Linear::Parallel::kColumn}),
      down_({{.name = names.down, .out_features = hidden_size}}, intermediate_size, context.parallel,
            {.bias = options.bias, .parallel = Linear::Parallel::kRow}) {}

void GatedMlp::load(WeightLoader& loader) {
  gate_up_.load(loader);
  down_.load(loader);
}

void GatedMlp::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) const {
  const Workspace::Scope scope(context.workspace);
  const TensorView inner = context.workspace.matrix(x.rows(), intermediate_);
  gate_up_.forward(context.ops, x, inner,
                   {.activation = options_.activation, .gated = true, .gate_scale = options_.gate_scale});
  down_.forward(context.ops, inner, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

Mlp::Mlp(const Names& names, std::int64_t hidden_size, std::int64_t intermediate_size, const Options& options,
         const LayerContext& context)
    : activation_(options.activation),
      up_({{.name = names.up, .out_features = intermediate_size}}, hidden_size, context.parallel,
          {.bias = options.bias, .parallel = Linear::Parallel::kColumn}),
      down_({{.name = names.down, .out_features = hidden_size}}, intermediate_size, context.parallel,
            {.bias = options.bias, .parallel = Linear::Parallel::kRow}) {}

void Mlp::load(WeightLoader& loader) {
  up_.load(loader);
  down_.load(loader);
}

void Mlp::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) const {
  const Workspace::Scope scope(context.workspace);
  const TensorView inner = context.workspace.matrix(x.rows(), up_.out_features());
  up_.forward(context.ops, x, inner, {.activation = activation_});
  down_.forward(context.ops, inner, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

}  // namespace krait
