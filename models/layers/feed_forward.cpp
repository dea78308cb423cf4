#include "models/layers/feed_forward.h"

#include "models/weights/weight_loader.h"

namespace krait {
namespace {

std::vector<LinearPart> gate_up_parts(const std::vector<std::string>& names, std::int64_t intermediate) {
  const std::int64_t rows = names.size() == 1 ? 2 * intermediate : intermediate;
  std::vector<LinearPart> parts;
  for (const std::string& name : names) parts.push_back({name, rows});
  return parts;
}

}  // namespace

GatedMlp::GatedMlp(Names names, std::int64_t hidden_size, std::int64_t intermediate_size, bool bias,
                   const LayerContext& context)
    : intermediate_(context.parallel.divide(static_cast<int>(intermediate_size), "the width of the MLP")),
      gate_up_(gate_up_parts(names.gate_up, intermediate_size), hidden_size, context.parallel,
               {.bias = bias, .gate_up = true, .parallel = Linear::Parallel::kColumn}),
      down_({{names.down, hidden_size}}, intermediate_size, context.parallel,
            {.bias = bias, .parallel = Linear::Parallel::kRow}) {}

void GatedMlp::load(WeightLoader& loader) {
  gate_up_.load(loader);
  down_.load(loader);
}

void GatedMlp::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) const {
  const Workspace::Scope scope(context.workspace);
  const TensorView inner = context.workspace.matrix(x.rows(), intermediate_);
  gate_up_.forward(context.ops, x, inner, {.activation = Activation::kSilu, .gated = true});
  down_.forward(context.ops, inner, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

SparseMoe::SparseMoe(Names names, const Config& config, const LayerContext& context)
    : names_(std::move(names)), config_(config) {
  if (config_.top_k < 1 || config_.top_k > config_.experts) {
    throw StartupError("`num_experts_per_tok` is " + std::to_string(config_.top_k) + ", but the model has " +
                       std::to_string(config_.experts) + " experts");
  }
  if (context.parallel.size > 1) throw StartupError("experts cannot be split over ranks in this version");
}

void SparseMoe::load(WeightLoader& loader) {
  router_ = loader.linear({names_.router + ".weight"}, {}, {config_.experts}, config_.hidden_size);
  for (int expert = 0; expert < config_.experts; ++expert) {
    gate_up_.push_back(loader.stacked_linear(names_.gate_up, expert, config_.experts, 2 * config_.intermediate_size,
                                             config_.hidden_size, true));
    down_.push_back(
        loader.stacked_linear(names_.down, expert, config_.experts, config_.hidden_size, config_.intermediate_size));
  }
}

void SparseMoe::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) const {
  const Workspace::Scope scope(context.workspace);
  const TensorView logits = context.workspace.matrix(x.rows(), config_.experts);
  context.ops.linear({.weight = &router_, .x = x, .y = logits});
  context.ops.moe({.x = x,
                   .logits = logits,
                   .router = {.top_k = config_.top_k, .scoring = config_.scoring, .renormalize = config_.renormalize},
                   .up = gate_up_,
                   .down = down_,
                   .scale = output.scale,
                   .accumulate = output.accumulate,
                   .out = output.into});
}

}  // namespace krait
