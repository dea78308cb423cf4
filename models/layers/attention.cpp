#include "models/layers/attention.h"

#include "models/weights/weight_loader.h"

namespace krait {
namespace {

std::vector<LinearPart> qkv_parts(const std::string& name, const AttentionConfig& config) {
  const std::int64_t q = std::int64_t{config.heads} * config.head_dim;
  const std::int64_t kv = std::int64_t{config.kv_heads} * config.head_dim;
  return {{name + ".q_proj", q}, {name + ".k_proj", kv}, {name + ".v_proj", kv}};
}

}  // namespace

Attention::Attention(std::string name, const AttentionConfig& config, const LayerContext& context)
    : AttentionLayerBase(std::move(name)),
      config_(config),
      cache_dtype_(context.kv_cache_dtype),
      heads_(context.parallel.divide(config.heads, "the attention heads")),
      kv_heads_(context.parallel.divide(config.kv_heads, "the key/value heads")),
      qkv_proj_(qkv_parts(this->name(), config), config.hidden_size, context.parallel,
                {.bias = config.bias, .parallel = Linear::Parallel::kColumn}),
      o_proj_({{this->name() + ".o_proj", config.hidden_size}}, std::int64_t{config.heads} * config.head_dim,
              context.parallel, {.bias = config.output_bias, .parallel = Linear::Parallel::kRow}) {
  if (config.heads % config.kv_heads != 0) {
    throw StartupError("layer '" + this->name() + "': " + std::to_string(config.kv_heads) +
                       " key/value heads do not divide the number of attention heads (" + std::to_string(config.heads) +
                       ")");
  }
}

std::vector<CacheSpec> Attention::cache_specs() const {
  if (config_.sliding_window > 0) {
    return {SlidingWindowSpec{
        .kv_heads = kv_heads_, .head_dim = config_.head_dim, .window = config_.sliding_window, .dtype = cache_dtype_}};
  }
  return {FullAttentionSpec{.kv_heads = kv_heads_, .head_dim = config_.head_dim, .dtype = cache_dtype_}};
}

void Attention::load(WeightLoader& loader, std::shared_ptr<const RopeTable> rope) {
  qkv_proj_.load(loader);
  o_proj_.load(loader);
  rope_ = std::move(rope);
}

void Attention::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) {
  const Workspace::Scope scope(context.workspace);
  const std::int64_t q_columns = std::int64_t{heads_} * config_.head_dim;
  const std::int64_t kv_columns = std::int64_t{kv_heads_} * config_.head_dim;
  const TensorView qkv = context.workspace.matrix(x.rows(), qkv_proj_.out_features());
  qkv_proj_.forward(context.ops, x, qkv);
  const TensorView out = context.workspace.matrix(x.rows(), q_columns);
  bound_backend<AttentionBackend>().forward(
      context.backend(), metadata<AttentionMetadata>(context),
      {.scale = config_.scale, .sliding_window = config_.sliding_window, .rope = rope_ ? rope_->view() : RopeView{}},
      std::get<KvCacheView>(cache()),
      {.q = qkv.slice_columns(0, q_columns),
       .k = qkv.slice_columns(q_columns, kv_columns),
       .v = qkv.slice_columns(q_columns + kv_columns, kv_columns),
       .out = out});
  o_proj_.forward(context.ops, out, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

}  // namespace krait
