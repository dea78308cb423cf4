#include "models/layers/mla_attention.h"

#include <numeric>

#include "models/layers/kernel_choice.h"
#include "models/weights/weight_loader.h"

namespace krait {
namespace {

/// Of q_a_layernorm and kv_a_layernorm, whatever the config says, as in the reference.
constexpr float kLatentNormEps = 1e-6F;

Linear column_parallel(const std::string& name, std::int64_t outputs, std::int64_t inputs,
                       const LayerContext& context) {
  return {{{.name = name, .out_features = outputs}}, inputs, context.parallel, {.parallel = Linear::Parallel::kColumn}};
}

std::int64_t q_outputs(const MlaConfig& config) {
  return std::int64_t{config.heads} * (config.nope_dim + config.rope_dim);
}

}  // namespace

MlaAttention::MlaAttention(std::string name, const MlaConfig& config, const LayerContext& context)
    : AttentionLayerBase(std::move(name)),
      config_(config),
      cache_dtype_(context.kv_cache_dtype),
      heads_(context.parallel.divide(config.heads, "the attention heads")),
      first_head_(context.parallel.rank * heads_),
      q_proj_(column_parallel(this->name() + (config.q_lora_rank > 0 ? ".q_b_proj" : ".q_proj"), q_outputs(config),
                              config.q_lora_rank > 0 ? config.q_lora_rank : config.hidden_size, context)),
      kv_a_proj_({{.name = this->name() + ".kv_a_proj_with_mqa", .out_features = row_dim()}}, config.hidden_size,
                 context.parallel, {.bias = config.bias}),
      kv_a_norm_(this->name() + ".kv_a_layernorm", config.kv_lora_rank, kLatentNormEps),
      o_proj_({{.name = this->name() + "." + config.names.o, .out_features = config.hidden_size}},
              std::int64_t{config.heads} * config.value_dim, context.parallel,
              {.bias = config.output_bias, .parallel = Linear::Parallel::kRow}),
      backend_(&select_attention_backend(
          this->name(), context,
          {.heads = heads_, .kv_heads = 1, .head_dim = row_dim(), .latent = true, .cache_dtype = cache_dtype_})) {
  if (config_.rope) config_.rope->offset += config.kv_lora_rank;
  if (config.q_lora_rank > 0) {
    q_a_proj_.emplace(std::vector<LinearPart>{{.name = this->name() + ".q_a_proj", .out_features = config.q_lora_rank}},
                      config.hidden_size, context.parallel, Linear::Options{.bias = config.bias});
    q_a_norm_.emplace(this->name() + ".q_a_layernorm", config.q_lora_rank, kLatentNormEps);
  }
  if (!config.names.gate.empty()) {
    gate_ = column_parallel(this->name() + "." + config.names.gate, config.heads, config.hidden_size, context);
  }
}

std::vector<CacheSpec> MlaAttention::cache_specs() const {
  return {MlaSpec{.latent_dim = config_.kv_lora_rank, .rope_dim = config_.rope_dim, .dtype = cache_dtype_}};
}

void MlaAttention::load(WeightLoader& loader, std::shared_ptr<const RopeTable> rope) {
  if (q_a_proj_) q_a_proj_->load(loader);
  if (q_a_norm_) q_a_norm_->load(loader);
  q_proj_.load(loader);
  kv_a_proj_.load(loader);
  kv_a_norm_.load(loader);
  if (gate_) gate_->load(loader);
  o_proj_.load(loader);
  rope_ = std::move(rope);

  // kv_b_proj [heads * (nope | value), latent]: the first rows of a head are read as their transpose.
  const std::string kv_b = name() + ".kv_b_proj.weight";
  const int head_rows = config_.nope_dim + config_.value_dim;
  const std::int64_t stored = std::int64_t{config_.heads} * head_rows;
  for (int head = first_head_; head < first_head_ + heads_; ++head) {
    const int first = head * head_rows;
    to_latent_.push_back(loader.linear({{.weight = kv_b,
                                         .out_features = config_.kv_lora_rank,
                                         .transposed = true,
                                         .stored_inputs = stored,
                                         .first_input = first}},
                                       config_.nope_dim));
    std::vector<std::int32_t> rows(static_cast<std::size_t>(config_.value_dim));
    std::iota(rows.begin(), rows.end(), first + config_.nope_dim);
    from_latent_.push_back(
        loader.linear({{.weight = kv_b, .out_features = config_.value_dim, .rows = rows, .stored_rows = stored}},
                      config_.kv_lora_rank));
  }
}

TensorView MlaAttention::project_queries(ForwardContext& context, const TensorView& x) const {
  const TensorView q = context.workspace.matrix(x.rows(), q_proj_.out_features());
  if (!q_a_proj_) {
    q_proj_.forward(context.ops, x, q);
    return q;
  }
  const TensorView low = context.workspace.matrix(x.rows(), config_.q_lora_rank);
  q_a_proj_->forward(context.ops, x, low);
  q_a_norm_->forward(context.ops, low, low);
  q_proj_.forward(context.ops, low, q);
  return q;
}

TensorView MlaAttention::latent_queries(ForwardContext& context, const TensorView& q) const {
  const int head_dim = config_.nope_dim + config_.rope_dim;
  const TensorView latent = context.workspace.matrix(q.rows(), std::int64_t{heads_} * row_dim());
  for (int h = 0; h < heads_; ++h) {
    context.ops.linear({.weight = &to_latent_[static_cast<std::size_t>(h)],
                        .x = q.slice_columns(std::int64_t{h} * head_dim, config_.nope_dim),
                        .y = latent.slice_columns(std::int64_t{h} * row_dim(), config_.kv_lora_rank)});
  }
  if (config_.rope_dim == 0) return latent;
  // The rope parts are copied in one go, a head a row.
  const std::int64_t rows = q.rows() * heads_;
  const TensorView from(q.data, q.dtype, Shape{rows, head_dim});
  const TensorView to(latent.data, latent.dtype, Shape{rows, row_dim()});
  context.ops.scaled_add({.first = {.x = from.slice_columns(config_.nope_dim, config_.rope_dim)},
                          .out = to.slice_columns(config_.kv_lora_rank, config_.rope_dim)});
  return latent;
}

TensorView MlaAttention::project_keys(ForwardContext& context, const TensorView& x) const {
  const TensorView row = context.workspace.matrix(x.rows(), row_dim());
  kv_a_proj_.forward(context.ops, x, row);
  const TensorView latent = row.slice_columns(0, config_.kv_lora_rank);
  kv_a_norm_.forward(context.ops, latent, latent);
  return row;
}

TensorView MlaAttention::head_values(ForwardContext& context, const TensorView& found) const {
  const TensorView values = context.workspace.matrix(found.rows(), std::int64_t{heads_} * config_.value_dim);
  for (int h = 0; h < heads_; ++h) {
    context.ops.linear({.weight = &from_latent_[static_cast<std::size_t>(h)],
                        .x = found.slice_columns(std::int64_t{h} * config_.kv_lora_rank, config_.kv_lora_rank),
                        .y = values.slice_columns(std::int64_t{h} * config_.value_dim, config_.value_dim)});
  }
  return values;
}

void MlaAttention::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) {
  const Workspace::Scope scope(context.workspace);
  const TensorView q = latent_queries(context, project_queries(context, x));
  const TensorView k = project_keys(context, x);
  const TensorView found = context.workspace.matrix(x.rows(), std::int64_t{heads_} * config_.kv_lora_rank);
  bound_backend<AttentionBackend>().forward(context.backend(), metadata<AttentionMetadata>(context),
                                            {.scale = config_.scale, .rope = rope_ ? rope_->view() : RopeView{}},
                                            std::get<KvCacheView>(cache()), {.q = q, .k = k, .v = {}, .out = found});
  const TensorView values = head_values(context, found);
  if (gate_) {
    const TensorView gate = context.workspace.matrix(x.rows(), heads_);
    gate_->forward(context.ops, x, gate);
    context.ops.gate({.x = values,
                      .gate = gate,
                      .gate_width = config_.value_dim,
                      .activation = Activation::kSigmoid,
                      .out = values});
  }
  o_proj_.forward(context.ops, values, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

}  // namespace krait
