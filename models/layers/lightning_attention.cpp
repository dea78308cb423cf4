#include "models/layers/lightning_attention.h"

#include <cmath>

#include "models/layers/mamba_state_shapes.h"
#include "models/weights/weight_loader.h"

namespace krait {
namespace {

/// Whatever the config says, as in the reference.
constexpr float kNormEps = 1e-6F;

std::int64_t inner_size(const LightningAttentionConfig& config) { return std::int64_t{config.heads} * config.head_dim; }

/// qkv_proj's rows are [q | k | v] head by head.
std::vector<LinearPart> qkv_parts(const std::string& name, const LightningAttentionConfig& config) {
  std::vector<LinearPart> parts;
  for (int part = 0; part < 3; ++part) {
    LinearPart rows_of_part{
        .name = name, .out_features = inner_size(config), .rows = {}, .stored_rows = 3 * inner_size(config)};
    for (int head = 0; head < config.heads; ++head) {
      for (int i = 0; i < config.head_dim; ++i) {
        rows_of_part.rows.push_back((3 * head + part) * config.head_dim + i);
      }
    }
    parts.push_back(std::move(rows_of_part));
  }
  return parts;
}

}  // namespace

double lightning_slope(const LightningAttentionConfig& config, int head) {
  const double base = std::exp2(-8.0 * (head + 1) / config.heads);
  return base * (1.0 - config.layer / (config.layers - 1 + 1e-5) + 1e-5);
}

LightningAttention::LightningAttention(std::string name, const LightningAttentionConfig& config,
                                       const LayerContext& context)
    : MambaBase(std::move(name), context),
      config_(config),
      qkv_proj_(qkv_parts(this->name() + ".qkv_proj", config), config.hidden_size, context.parallel, {}),
      gate_({{this->name() + ".output_gate", inner_size(config)}}, config.hidden_size, context.parallel, {}),
      out_proj_({{this->name() + ".out_proj", config.hidden_size}}, inner_size(config), context.parallel, {}),
      norm_(this->name() + ".norm", inner_size(config), kNormEps) {
  if (context.parallel.size > 1) {
    throw StartupError("layer '" + this->name() +
                       "': a norm over all heads cannot be split over ranks in this version");
  }
}

std::vector<StateTensorSpec> LightningAttention::state_tensors() const {
  return linear_attention_state(context(), config_.heads, config_.head_dim);
}

void LightningAttention::bind_backend(std::size_t spec, const LayerBackend* backend) {
  require_backend<LinearAttentionBackend>(backend, mamba_type_name(), "LinearAttentionBackend");
  MambaBase::bind_backend(spec, backend);
}

void LightningAttention::load(WeightLoader& loader) {
  qkv_proj_.load(loader);
  gate_.load(loader);
  out_proj_.load(loader);
  norm_.load(loader);
  std::vector<float> decay;
  for (int h = 0; h < config_.heads; ++h) {
    decay.push_back(static_cast<float>(std::exp(-lightning_slope(config_, h))));
  }
  decay_ = loader.vector(decay);
  // Buffers of the reference that follow from the slopes.
  for (const char* buffer : {"slope_rate", "query_decay", "key_decay", "diagonal_decay"}) {
    loader.ignore(name() + "." + buffer);
  }
}

void LightningAttention::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) {
  const Workspace::Scope scope(context.workspace);
  const TensorView qkv = context.workspace.matrix(x.rows(), qkv_proj_.out_features());
  qkv_proj_.forward(context.ops, x, qkv, {.activation = Activation::kSilu});
  const TensorView y = context.workspace.matrix(x.rows(), width());
  bound_backend<LinearAttentionBackend>().forward(
      context.backend(), metadata<MambaMetadata>(context),
      {.heads = config_.heads, .head_dim = config_.head_dim, .decay = decay_.view()}, std::get<StateCacheView>(cache()),
      {.q = qkv.slice_columns(0, width()),
       .k = qkv.slice_columns(width(), width()),
       .v = qkv.slice_columns(2 * width(), width()),
       .out = y});
  const TensorView gate = context.workspace.matrix(x.rows(), width());
  gate_.forward(context.ops, x, gate);
  context.ops.gated_rms_norm({.y = y,
                              .z = gate,
                              .weight = norm_.weight(),
                              .eps = norm_.eps(),
                              .order = GateOrder::kNormFirst,
                              .out = y,
                              .activation = Activation::kSigmoid});
  out_proj_.forward(context.ops, y, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

}  // namespace krait
