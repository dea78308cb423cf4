#include "models/layers/sparse_moe.h"

#include "models/weights/weight_loader.h"

namespace krait {
namespace {

void check_router(const RouterOptions& router, int experts) {
  if (router.top_k < 1 || router.top_k > experts) {
    throw StartupError("`num_experts_per_tok` is " + std::to_string(router.top_k) + ", but the model has " +
                       std::to_string(experts) + " experts");
  }
  if (router.groups < 1 || experts % router.groups != 0) {
    throw StartupError("`n_group` is " + std::to_string(router.groups) + ", which does not divide the " +
                       std::to_string(experts) + " experts");
  }
  if (router.top_groups < 1 || router.top_groups > router.groups ||
      router.top_k > router.top_groups * (experts / router.groups)) {
    throw StartupError("`topk_group` is " + std::to_string(router.top_groups) + " of " + std::to_string(router.groups) +
                       " groups, which does not leave " + std::to_string(router.top_k) + " experts to choose");
  }
}

}  // namespace

SparseMoe::SparseMoe(Router router, Experts::Names names, const Experts::Config& experts, std::int64_t hidden_size,
                     const LayerContext& context)
    : router_(std::move(router)),
      // Near ties decide between experts: the product keeps float32 rows whatever the model computes in.
      gate_({{.name = router_.name, .out_features = experts.experts}}, hidden_size, context.parallel,
            {.bias = router_.bias, .compute_dtype = DType::kFloat32}),
      experts_(std::move(names), experts, context) {
  check_router(router_.options, experts.experts);
}

void SparseMoe::load(WeightLoader& loader) {
  gate_.load(loader);
  if (!router_.selection_bias.empty()) {
    selection_bias_ = loader.float32(router_.selection_bias, {experts_.config().experts});
    router_.options.selection_bias = selection_bias_.view();
  }
  experts_.load(loader);
}

void SparseMoe::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output,
                        const TensorView& expert_input) const {
  const Workspace::Scope scope(context.workspace);
  const TensorView logits = context.workspace.matrix(x.rows(), experts_.config().experts);
  gate_.forward(context.ops, x, logits);
  experts_.forward(context, expert_input.data != nullptr ? expert_input : x, logits, router_.options, output);
}

}  // namespace krait
