#include "models/layers/compressed_conv_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "models/backends/mamba_registry.h"
#include "models/layers/kernel_choice.h"
#include "models/weights/weight_loader.h"

namespace krait {
namespace {

constexpr std::size_t kKvSpec = 0;
constexpr std::size_t kStateSpec = 1;

// Tensors of the state spec.
constexpr std::size_t kDepthwiseInputs = 0;
constexpr std::size_t kGroupedInputs = 1;
constexpr std::size_t kDelayedValue = 2;

constexpr int kDelayKernel = 2;

/// The delayed half of v comes first, so that the others lie side by side behind it.
std::vector<LinearPart> in_parts(const std::string& name, const CompressedConvConfig& config) {
  const std::int64_t q = std::int64_t{config.heads} * config.head_dim;
  const std::int64_t kv = std::int64_t{config.kv_heads} * config.head_dim;
  return {{.name = name + ".v_proj_delayed", .out_features = kv / 2},
          {.name = name + ".q_proj", .out_features = q},
          {.name = name + ".k_proj", .out_features = kv},
          {.name = name + ".v_proj_current", .out_features = kv / 2}};
}

}  // namespace

CompressedConvAttention::CompressedConvAttention(std::string name, const CompressedConvConfig& config,
                                                 const LayerContext& context)
    : AttentionLayerBase(std::move(name)),
      config_(config),
      context_(context),
      attention_backend_(&select_attention_backend(this->name(), context,
                                                   {.heads = config.heads,
                                                    .kv_heads = config.kv_heads,
                                                    .head_dim = config.head_dim,
                                                    .cache_dtype = context.kv_cache_dtype})),
      in_proj_(in_parts(this->name() + ".qkv_proj", config), config.hidden_size, context.parallel,
               {.bias = config.bias}),
      o_proj_({{this->name() + ".o_proj", config.hidden_size}}, std::int64_t{config.heads} * config.head_dim,
              context.parallel, {.bias = config.bias}) {
  if (config.heads % config.kv_heads != 0) {
    throw StartupError("layer '" + this->name() + "': " + std::to_string(config.kv_heads) +
                       " key/value heads do not divide the number of attention heads (" + std::to_string(config.heads) +
                       ")");
  }
  if (kv_width() % 2 != 0) {
    throw StartupError("layer '" + this->name() + "': the width of the values, " + std::to_string(kv_width()) +
                       ", must be even");
  }
  if (context.parallel.size > 1) {
    throw StartupError("layer '" + this->name() +
                       "': a compressed convolutional attention cannot be split over ranks in this version");
  }
  state_spec_ = make_state_spec();
}

MambaSpec CompressedConvAttention::make_state_spec() const {
  const auto inputs = [&](int kernel, std::int64_t channels) {
    return StateTensorSpec{
        .role = StateTensorSpec::Role::kConv, .shape = {kernel - 1, channels}, .dtype = context_.conv_dtype()};
  };
  return {.type = value_or_throw(MambaRegistry::instance().type(mamba_types::kShortConv)),
          .tensors = {inputs(config_.depthwise_kernel, qk_width()), inputs(config_.grouped_kernel, qk_width()),
                      inputs(kDelayKernel, kv_width() / 2)}};
}

StateCacheView CompressedConvAttention::state(std::size_t tensor) const {
  return conv_tensor(std::get<StateCacheView>(cache(kStateSpec)), state_spec_, tensor);
}

std::vector<CacheSpec> CompressedConvAttention::cache_specs() const {
  const DType dtype = context_.kv_cache_dtype;
  if (config_.sliding_window > 0) {
    return {SlidingWindowSpec{.kv_heads = config_.kv_heads,
                              .head_dim = config_.head_dim,
                              .window = config_.sliding_window,
                              .dtype = dtype},
            state_spec_};
  }
  return {FullAttentionSpec{.kv_heads = config_.kv_heads, .head_dim = config_.head_dim, .dtype = dtype}, state_spec_};
}

const LayerBackend* CompressedConvAttention::get_attn_backend(std::size_t spec) const {
  if (spec == kKvSpec) return attention_backend_;
  return select_layer_backend(mamba_types::kShortConv, context_);
}

void CompressedConvAttention::bind_backend(std::size_t spec, const LayerBackend* backend) {
  if (spec == kStateSpec) require_backend<ShortConvBackend>(backend, mamba_types::kShortConv, "ShortConvBackend");
  AttentionLayerBase::bind_backend(spec, backend);
}

void CompressedConvAttention::load(WeightLoader& loader, std::shared_ptr<const RopeTable> rope) {
  rope_ = std::move(rope);
  in_proj_.load(loader);
  o_proj_.load(loader);
  const std::string qkv = name() + ".qkv_proj";
  const std::string grouped = qkv + ".conv_qk_grouped";
  depthwise_weight_ = loader.conv_weight(qkv + ".conv_qk_depthwise.weight", qk_width(), config_.depthwise_kernel);
  depthwise_bias_ = loader.float32(qkv + ".conv_qk_depthwise.bias", {qk_width()});
  grouped_bias_ = loader.float32(grouped + ".bias", {qk_width()});
  for (int group = 0; group < config_.heads + config_.kv_heads; ++group) {
    std::vector<std::int32_t> rows(static_cast<std::size_t>(config_.head_dim));
    std::iota(rows.begin(), rows.end(), group * config_.head_dim);
    for (int tap = 0; tap < config_.grouped_kernel; ++tap) {
      grouped_weights_.push_back(loader.linear({{.weight = grouped + ".weight",
                                                 .out_features = config_.head_dim,
                                                 .rows = rows,
                                                 .stored_rows = qk_width(),
                                                 .taps = config_.grouped_kernel,
                                                 .tap = tap}},
                                               config_.head_dim));
    }
  }
  if (config_.bias) delayed_start_ = loader.float32(qkv + ".v_proj_delayed.bias", {kv_width() / 2});
  load_delay(loader);
  load_key_scale(loader);
}

void CompressedConvAttention::load_delay(WeightLoader& loader) {
  const std::int64_t half = kv_width() / 2;
  std::vector<float> weight(static_cast<std::size_t>(kDelayKernel * half), 0.0F);
  std::fill_n(weight.begin(), half, 1.0F);
  delay_weight_ = loader.vector(weight);
}

void CompressedConvAttention::load_key_scale(WeightLoader& loader) {
  std::vector<float> scale;
  for (const float temperature : loader.values(name() + ".qk_norm.temp", {config_.kv_heads})) {
    scale.insert(scale.end(), static_cast<std::size_t>(config_.head_dim), temperature);
  }
  key_scale_ = loader.vector(scale);
}

CompressedConvAttention::Projected CompressedConvAttention::project(ForwardContext& context,
                                                                    const TensorView& x) const {
  const std::int64_t half = kv_width() / 2;
  const TensorView all = context.workspace.matrix(x.rows(), in_proj_.out_features() + half);
  in_proj_.forward(context.ops, x, all.slice_columns(0, in_proj_.out_features()));
  const TensorView v = all.slice_columns(half + qk_width(), kv_width());
  const TensorView weight(delay_weight_.view().data, DType::kFloat32, Shape{kDelayKernel, half});
  bound_backend<ShortConvBackend>(kStateSpec)
      .convolve(context.backend(), metadata<MambaMetadata>(context, kStateSpec),
                {.weight = weight, .initial = delayed_start_.view()}, state(kDelayedValue), all.slice_columns(0, half),
                v.slice_columns(half, half));
  return {.qk = all.slice_columns(half, qk_width()), .v = v};
}

TensorView CompressedConvAttention::mix(ForwardContext& context, const TensorView& raw) const {
  const auto& backend = bound_backend<ShortConvBackend>(kStateSpec);
  const auto& metadata = this->metadata<MambaMetadata>(context, kStateSpec);
  const TensorView depthwise = context.workspace.matrix(raw.rows(), qk_width());
  backend.convolve(context.backend(), metadata, {.weight = depthwise_weight_.view(), .bias = depthwise_bias_.view()},
                   state(kDepthwiseInputs), raw, depthwise);
  const TensorView mixed = context.workspace.matrix(raw.rows(), qk_width());
  // The reference pads the raw q and k once, for both convolutions: before the start the second one sees what the
  // first makes of zeros, its bias.
  backend.convolve_groups(context.backend(), metadata,
                          {.weights = grouped_weights_,
                           .groups = config_.heads + config_.kv_heads,
                           .kernel = config_.grouped_kernel,
                           .bias = grouped_bias_.view(),
                           .initial = depthwise_bias_.view()},
                          state(kGroupedInputs), depthwise, mixed);
  return mixed;
}

void CompressedConvAttention::add_residuals(ForwardContext& context, const TensorView& raw,
                                            const TensorView& mixed) const {
  const int groups = config_.heads / config_.kv_heads;
  const TensorView residual = context.workspace.matrix(raw.rows(), qk_width());
  const auto head = [&](const TensorView& qk, int index) {
    return qk.slice_columns(std::int64_t{index} * config_.head_dim, config_.head_dim);
  };
  for (int h = 0; h < config_.heads; ++h) {
    context.ops.scaled_add({.first = {.x = head(raw, h), .scale = 0.5F},
                            .second = {.x = head(raw, config_.heads + h / groups), .scale = 0.5F},
                            .out = head(residual, h)});
  }
  const float share = 1.0F / static_cast<float>(groups);
  for (int h = 0; h < config_.heads; ++h) {
    const TensorView mean = head(residual, config_.heads + h / groups);
    const ScaledTerm before{.x = h % groups == 0 ? TensorView{} : mean};
    context.ops.scaled_add({.first = {.x = head(residual, h), .scale = share}, .second = before, .out = mean});
  }
  context.ops.scaled_add({.first = {.x = mixed}, .second = {.x = residual}, .out = mixed});
}

void CompressedConvAttention::normalize(ForwardContext& context, const TensorView& mixed) const {
  // x sqrt(d) / |x|, where the reference bounds |x| from below by float32's epsilon: a norm a head, as a row.
  constexpr float kBound = std::numeric_limits<float>::epsilon();
  const int heads = config_.heads + config_.kv_heads;
  const TensorView rows(mixed.data, mixed.dtype, Shape{mixed.rows() * heads, config_.head_dim});
  context.ops.add_rms_norm(
      {.residual = rows, .eps = kBound * kBound / static_cast<float>(config_.head_dim), .out = rows});
  const TensorView keys = mixed.slice_columns(q_width(), kv_width());
  context.ops.scaled_add({.first = {.x = keys, .weight = key_scale_.view()}, .out = keys});
}

void CompressedConvAttention::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) {
  const Workspace::Scope scope(context.workspace);
  const Projected raw = project(context, x);
  const TensorView mixed = mix(context, raw.qk);
  add_residuals(context, raw.qk, mixed);
  normalize(context, mixed);
  const TensorView heads = context.workspace.matrix(x.rows(), q_width());
  bound_backend<AttentionBackend>(kKvSpec).forward(context.backend(), metadata<AttentionMetadata>(context, kKvSpec),
                                                   {.scale = 1.0F / std::sqrt(static_cast<float>(config_.head_dim)),
                                                    .sliding_window = config_.sliding_window,
                                                    .rope = rope_->view()},
                                                   std::get<KvCacheView>(cache(kKvSpec)),
                                                   {.q = mixed.slice_columns(0, q_width()),
                                                    .k = mixed.slice_columns(q_width(), kv_width()),
                                                    .v = raw.v,
                                                    .out = heads});
  o_proj_.forward(context.ops, heads, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

}  // namespace krait
