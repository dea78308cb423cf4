#include "models/layers/kimi_delta_attention.h"

#include "models/layers/decay_rates.h"
#include "models/layers/mamba_state_shapes.h"
#include "models/weights/weight_loader.h"

namespace krait {
namespace {

std::vector<LinearPart> in_proj_parts(const std::string& name, const KimiDeltaAttentionConfig& config) {
  const std::int64_t width = std::int64_t{config.heads} * config.head_dim;
  const std::int64_t second = config.low_rank ? config.head_dim : width;
  const auto part = [&](const char* suffix, std::int64_t rows) {
    return LinearPart{.name = name + "." + suffix, .out_features = rows};
  };
  return {part("q_proj", width),
          part("k_proj", width),
          part("v_proj", width),
          part("b_proj", config.heads),
          part(config.low_rank ? "f_a_proj" : "f_proj", second),
          part(config.low_rank ? "g_a_proj" : "g_proj", second)};
}

DeltaRuleParameters parameters_of(const KimiDeltaAttentionConfig& config) {
  return {.key_heads = config.heads,
          .value_heads = config.heads,
          .key_dim = config.head_dim,
          .value_dim = config.head_dim,
          .decay_per_channel = true,
          .decay_kind = config.decay_kind,
          .lower_bound = config.lower_bound,
          .conv_weight = {},
          .a = {},
          .decay_bias = {}};
}

}  // namespace

KimiDeltaAttention::KimiDeltaAttention(std::string name, const KimiDeltaAttentionConfig& config,
                                       const LayerContext& context)
    : MambaBase(std::move(name), context),
      config_(config),
      parameters_(parameters_of(config)),
      in_proj_(in_proj_parts(this->name(), config), config.hidden_size, context.parallel, {}),
      out_proj_({{.name = tensor(config.output), .out_features = config.hidden_size}}, width(), context.parallel, {}) {
  if (context.parallel.size > 1) {
    throw StartupError("layer '" + this->name() + "': Kimi delta attention cannot be split over ranks in this version");
  }
  if (!config.low_rank) return;
  const auto second = [&](const char* suffix) {
    return Linear({{.name = tensor(suffix), .out_features = width()}}, config.head_dim, context.parallel, {});
  };
  f_b_proj_ = second("f_b_proj");
  g_b_proj_ = second("g_b_proj");
}

std::vector<StateTensorSpec> KimiDeltaAttention::state_tensors() const {
  return kda_attention_state(context(), config_.heads, config_.head_dim, config_.conv_kernel);
}

void KimiDeltaAttention::bind_backend(std::size_t spec, const LayerBackend* backend) {
  require_backend<KdaAttentionBackend>(backend, mamba_type_name(), "KdaAttentionBackend");
  MambaBase::bind_backend(spec, backend);
}

void KimiDeltaAttention::load(WeightLoader& loader) {
  in_proj_.load(loader);
  if (f_b_proj_) f_b_proj_->load(loader);
  if (g_b_proj_) g_b_proj_->load(loader);
  out_proj_.load(loader);
  conv_weight_ = loader.conv_weight({{.weight = tensor("q_conv1d.weight"), .channels = width()},
                                     {.weight = tensor("k_conv1d.weight"), .channels = width()},
                                     {.weight = tensor("v_conv1d.weight"), .channels = width()}},
                                    config_.conv_kernel);
  a_ = loader.transformed(tensor("A_log"), config_.low_rank ? Shape{1, 1, config_.heads, 1} : Shape{config_.heads},
                          config_.decay_kind == DeltaDecay::kSoftplus ? negative_exp : positive_exp);
  dt_bias_ = loader.float32(tensor("dt_bias"), {width()});
  norm_ = loader.float32(tensor("o_norm.weight"), {config_.head_dim});
  parameters_.conv_weight = conv_weight_.view();
  parameters_.a = TensorView(a_.view().data, DType::kFloat32, Shape{config_.heads});
  parameters_.decay_bias = dt_bias_.view();
}

TensorView KimiDeltaAttention::widen(ForwardContext& context, const std::optional<Linear>& second,
                                     const TensorView& first) {
  if (!second) return first;
  const TensorView wide = context.workspace.matrix(first.rows(), second->out_features());
  second->forward(context.ops, first, wide);
  return wide;
}

void KimiDeltaAttention::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) {
  const Workspace::Scope scope(context.workspace);
  const TensorView projected = context.workspace.matrix(x.rows(), in_proj_.out_features());
  in_proj_.forward(context.ops, x, projected);
  const std::int64_t beta = parameters_.conv_dim();
  const std::int64_t decay = beta + config_.heads;
  const std::int64_t narrow = config_.low_rank ? config_.head_dim : width();
  const TensorView heads = context.workspace.matrix(x.rows(), width());
  bound_backend<KdaAttentionBackend>().forward(
      context.backend(), metadata<MambaMetadata>(context), parameters_, std::get<StateCacheView>(cache()),
      {.qkv = projected.slice_columns(0, beta),
       .decay = widen(context, f_b_proj_, projected.slice_columns(decay, narrow)),
       .beta = projected.slice_columns(beta, config_.heads),
       .out = heads});
  context.ops.gated_rms_norm({.y = heads,
                              .z = widen(context, g_b_proj_, projected.slice_columns(decay + narrow, narrow)),
                              .weight = norm_.view(),
                              .groups = config_.heads,
                              .eps = config_.norm_eps,
                              .order = GateOrder::kNormFirst,
                              .out = heads,
                              .activation = Activation::kSigmoid});
  out_proj_.forward(context.ops, heads, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

}  // namespace krait
