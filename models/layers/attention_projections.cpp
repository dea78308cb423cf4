#include "models/layers/attention_projections.h"

#include <numeric>

#include "models/weights/weight_loader.h"

namespace krait {
namespace {

/// The rows of q (`half` 0) or of its gate (`half` 1) in a projection that holds [q | gate] head by head.
std::vector<std::int32_t> rows_of_half(const AttentionConfig& config, int half) {
  std::vector<std::int32_t> rows;
  for (int head = 0; head < config.heads; ++head) {
    for (int i = 0; i < config.head_dim; ++i) rows.push_back((2 * head + half) * config.head_dim + i);
  }
  return rows;
}

/// `count` rows from `first` on.
std::vector<std::int32_t> rows_from(std::int64_t first, std::int64_t count) {
  std::vector<std::int32_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), static_cast<std::int32_t>(first));
  return rows;
}

/// q, k and v out of one tensor.
std::vector<LinearPart> fused_parts(const std::string& name, std::int64_t q, std::int64_t kv) {
  std::vector<LinearPart> parts;
  std::int64_t first = 0;
  for (const std::int64_t count : {q, kv, kv}) {
    parts.push_back({.name = name, .out_features = count, .rows = rows_from(first, count), .stored_rows = q + 2 * kv});
    first += count;
  }
  return parts;
}

std::vector<LinearPart> qkv_parts(const std::string& name, const AttentionConfig& config) {
  const std::int64_t q = std::int64_t{config.heads} * config.head_dim;
  const std::int64_t kv = std::int64_t{config.kv_heads} * config.head_dim;
  if (!config.names.qkv.empty()) return fused_parts(name + "." + config.names.qkv, q, kv);
  const LinearPart k{.name = name + "." + config.names.k, .out_features = kv};
  const LinearPart v{.name = name + "." + config.names.v, .out_features = kv};
  const std::string q_name = name + "." + config.names.q;
  if (config.output_gate != OutputGate::kElementwise) return {{.name = q_name, .out_features = q}, k, v};
  return {{.name = q_name, .out_features = q, .rows = rows_of_half(config, 0), .stored_rows = 2 * q},
          k,
          v,
          {.name = q_name, .out_features = q, .rows = rows_of_half(config, 1), .stored_rows = 2 * q}};
}

std::optional<RmsNorm> make_norm(const std::string& name, const AttentionConfig& config, int heads) {
  if (config.qk_norm == QkNorm::kNone || config.qk_norm == QkNorm::kEachHead) return std::nullopt;
  const int size = config.qk_norm == QkNorm::kPerHead ? config.head_dim : heads * config.head_dim;
  return RmsNorm(name, size, config.qk_norm_eps, config.qk_norm_weight);
}

/// Norms every head of `x` in place with its own row of `weights`.
void norm_each_head(Operations& ops, const TensorView& x, const TensorView& weights, float eps) {
  const std::int64_t head_dim = weights.columns();
  for (std::int64_t head = 0; head < weights.rows(); ++head) {
    const TensorView values = x.slice_columns(head * head_dim, head_dim);
    ops.add_rms_norm({.residual = values, .weight = weights.slice_rows(head, 1), .eps = eps, .out = values});
  }
}

}  // namespace

AttentionProjections::AttentionProjections(std::string name, const AttentionConfig& config, const LayerContext& context)
    : name_(std::move(name)),
      config_(config),
      heads_(context.parallel.divide(config.heads, "the attention heads")),
      kv_heads_(context.parallel.divide(config.kv_heads, "the key/value heads")),
      qkv_proj_(qkv_parts(name_, config), config.input_size > 0 ? config.input_size : config.hidden_size,
                context.parallel, {.bias = config.bias, .parallel = Linear::Parallel::kColumn}),
      o_proj_({{.name = name_ + "." + config.names.o, .out_features = config.hidden_size}},
              std::int64_t{config.heads} * config.head_dim, context.parallel,
              {.bias = config.output_bias, .parallel = Linear::Parallel::kRow}),
      q_norm_(make_norm(name_ + "." + config.names.q_norm, config, config.heads)),
      k_norm_(make_norm(name_ + "." + config.names.k_norm, config, config.kv_heads)) {
  if (config.heads % config.kv_heads != 0) {
    throw StartupError("layer '" + name_ + "': " + std::to_string(config.kv_heads) +
                       " key/value heads do not divide the number of attention heads (" + std::to_string(config.heads) +
                       ")");
  }
  if ((config.qk_norm == QkNorm::kFullWidth || config.qk_norm == QkNorm::kEachHead) && context.parallel.size > 1) {
    throw StartupError("layer '" + name_ +
                       "': a norm with a weight over all heads cannot be split over ranks in this version");
  }
  if (config.output_gate == OutputGate::kPerHead) {
    head_gate_.emplace(std::vector<LinearPart>{{.name = name_ + "." + config.names.gate, .out_features = config.heads}},
                       config.input_size > 0 ? config.input_size : config.hidden_size, context.parallel,
                       Linear::Options{.parallel = Linear::Parallel::kColumn});
  }
}

void AttentionProjections::load(WeightLoader& loader) {
  if (loaded_) return;
  loaded_ = true;
  qkv_proj_.load(loader);
  o_proj_.load(loader);
  if (head_gate_) head_gate_->load(loader);
  if (q_norm_) q_norm_->load(loader);
  if (k_norm_) k_norm_->load(loader);
  if (config_.qk_norm == QkNorm::kEachHead) {
    q_norm_heads_ = loader.float32(name_ + "." + config_.names.q_norm, {config_.heads, config_.head_dim});
    k_norm_heads_ = loader.float32(name_ + "." + config_.names.k_norm, {config_.kv_heads, config_.head_dim});
  }
  if (config_.sinks) sinks_ = loader.float32(name_ + ".sinks", {config_.heads});
}

AttentionProjections::Qkv AttentionProjections::project(ForwardContext& context, const TensorView& x) const {
  const std::int64_t q = std::int64_t{heads_} * config_.head_dim;
  const std::int64_t kv = std::int64_t{kv_heads_} * config_.head_dim;
  const TensorView all = context.workspace.matrix(x.rows(), qkv_proj_.out_features());
  qkv_proj_.forward(context.ops, x, all);
  Qkv qkv{.all = all,
          .q = all.slice_columns(0, q),
          .k = all.slice_columns(q, kv),
          .v = all.slice_columns(q + kv, kv),
          .gate = {}};
  if (config_.output_gate == OutputGate::kElementwise) qkv.gate = all.slice_columns(q + 2 * kv, q);
  return qkv;
}

void AttentionProjections::finish_qkv(ForwardContext& context, const Qkv& qkv) const {
  if (config_.key_multiplier != 1.0F) {
    context.ops.scaled_add({.first = {.x = qkv.k, .scale = config_.key_multiplier}, .out = qkv.k});
  }
  if (config_.qk_norm == QkNorm::kEachHead) {
    norm_each_head(context.ops, qkv.q, q_norm_heads_.view(), config_.qk_norm_eps);
    norm_each_head(context.ops, qkv.k, k_norm_heads_.view(), config_.qk_norm_eps);
  }
  if (config_.qk_norm != QkNorm::kFullWidth) return;
  q_norm_->forward(context.ops, qkv.q, qkv.q);
  k_norm_->forward(context.ops, qkv.k, qkv.k);
}

void AttentionProjections::project_output(ForwardContext& context, const TensorView& x, const Qkv& qkv,
                                          const TensorView& heads, const LayerOutput& output) const {
  if (config_.output_gate == OutputGate::kElementwise) {
    context.ops.gate({.x = heads, .gate = qkv.gate, .activation = Activation::kSigmoid, .out = heads});
  } else if (config_.output_gate == OutputGate::kPerHead) {
    const TensorView gate = context.workspace.matrix(x.rows(), heads_);
    head_gate_->forward(context.ops, x, gate);
    context.ops.gate(
        {.x = heads, .gate = gate, .gate_width = config_.head_dim, .activation = Activation::kSigmoid, .out = heads});
  }
  o_proj_.forward(context.ops, heads, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

TensorView AttentionProjections::q_norm() const {
  return config_.qk_norm == QkNorm::kPerHead ? q_norm_->weight() : TensorView{};
}

TensorView AttentionProjections::k_norm() const {
  return config_.qk_norm == QkNorm::kPerHead ? k_norm_->weight() : TensorView{};
}

}  // namespace krait
