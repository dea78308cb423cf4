#include "models/layers/attention.h"

#include "models/layers/kernel_choice.h"

namespace krait {

Attention::Attention(const std::string& name, const AttentionConfig& config, const LayerContext& context)
    : Attention(name, std::make_shared<AttentionProjections>(name, config, context), context) {}

Attention::Attention(std::string name, std::shared_ptr<AttentionProjections> projections, const LayerContext& context)
    : AttentionLayerBase(std::move(name)),
      projections_(std::move(projections)),
      cache_dtype_(context.kv_cache_dtype),
      backend_(&select_attention_backend(this->name(), context,
                                         {.heads = projections_->heads(),
                                          .kv_heads = projections_->kv_heads(),
                                          .head_dim = config().head_dim,
                                          .soft_cap = config().logits_soft_cap != 0.0F,
                                          .sinks = config().sinks,
                                          .cache_dtype = cache_dtype_})) {}

std::vector<CacheSpec> Attention::cache_specs() const {
  const int kv_heads = projections_->kv_heads();
  if (config().sliding_window > 0) {
    return {SlidingWindowSpec{
        .kv_heads = kv_heads, .head_dim = config().head_dim, .window = config().sliding_window, .dtype = cache_dtype_}};
  }
  return {FullAttentionSpec{.kv_heads = kv_heads, .head_dim = config().head_dim, .dtype = cache_dtype_}};
}

void Attention::load(WeightLoader& loader, std::shared_ptr<const RopeTable> rope) {
  projections_->load(loader);
  rope_ = std::move(rope);
}

void Attention::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output,
                        const QkvAdapter& adapt) {
  const Workspace::Scope scope(context.workspace);
  const AttentionProjections::Qkv qkv = projections_->project(context, x);
  if (adapt) adapt(qkv.all);
  projections_->finish_qkv(context, qkv);
  const TensorView heads = context.workspace.matrix(x.rows(), qkv.q.columns());
  bound_backend<AttentionBackend>().forward(context.backend(), metadata<AttentionMetadata>(context),
                                            {.scale = config().scale,
                                             .sliding_window = config().sliding_window,
                                             .rope = rope_ ? rope_->view() : RopeView{},
                                             .q_norm = projections_->q_norm(),
                                             .k_norm = projections_->k_norm(),
                                             .norm_eps = config().qk_norm_eps,
                                             .logits_soft_cap = config().logits_soft_cap,
                                             .sinks = projections_->sinks()},
                                            std::get<KvCacheView>(cache()),
                                            {.q = qkv.q, .k = qkv.k, .v = qkv.v, .out = heads});
  projections_->project_output(context, x, qkv, heads, output);
}

}  // namespace krait
