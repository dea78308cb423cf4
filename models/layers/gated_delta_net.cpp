#include "models/layers/gated_delta_net.h"

#include <algorithm>

#include "models/layers/decay_rates.h"
#include "models/layers/mamba_state_shapes.h"
#include "models/weights/weight_loader.h"

namespace krait {
namespace {

using Layout = GatedDeltaNetConfig::Layout;

/// Of all key or value heads: a hundred times and more of what any published model has.
constexpr std::int64_t kMaximumChannels = std::int64_t{1} << 24;

DeltaRuleParameters parameters_of(const GatedDeltaNetConfig& config) {
  return {.key_heads = config.key_heads,
          .value_heads = config.value_heads,
          .key_dim = config.key_dim,
          .value_dim = config.value_dim,
          .beta_scale = config.beta_scale,
          .conv_weight = {},
          .a = {},
          .decay_bias = {}};
}

/// The rows of a projection whose key heads each own one run of rows: takes `count` rows from `offset` on out of every
/// run of `run` rows.
void append_rows(std::vector<std::int32_t>& rows, int key_heads, int run, int offset, int count) {
  for (int head = 0; head < key_heads; ++head) {
    for (int i = 0; i < count; ++i) rows.push_back(head * run + offset + i);
  }
}

/// [q | k | v | z | b | a] out of the two tensors that are grouped by key head.
std::vector<LinearPart> parts_by_key_head(const std::string& name, const GatedDeltaNetConfig& config) {
  const int heads = config.key_heads;
  const int key = config.key_dim;
  const int shared = config.value_heads / heads;
  const int value = shared * config.value_dim;
  LinearPart qkvz{.name = name + ".in_proj_qkvz"};
  const int run = 2 * key + 2 * value;
  append_rows(qkvz.rows, heads, run, 0, key);
  append_rows(qkvz.rows, heads, run, key, key);
  append_rows(qkvz.rows, heads, run, 2 * key, value);
  append_rows(qkvz.rows, heads, run, 2 * key + value, value);
  LinearPart ba{.name = name + ".in_proj_ba"};
  append_rows(ba.rows, heads, 2 * shared, 0, shared);
  append_rows(ba.rows, heads, 2 * shared, shared, shared);
  for (LinearPart* part : {&qkvz, &ba}) {
    part->out_features = static_cast<std::int64_t>(part->rows.size());
    part->stored_rows = part->out_features;
  }
  return {qkvz, ba};
}

std::vector<LinearPart> in_proj_parts(const std::string& name, const GatedDeltaNetConfig& config) {
  if (config.key_heads < 1 || config.value_heads % config.key_heads != 0) {
    throw StartupError("layer '" + name + "': " + std::to_string(config.key_heads) +
                       " key heads do not divide the number of value heads (" + std::to_string(config.value_heads) +
                       ")");
  }
  const std::int64_t channels =
      std::max(std::int64_t{config.key_heads} * config.key_dim, std::int64_t{config.value_heads} * config.value_dim);
  if (channels > kMaximumChannels) {
    throw StartupError("layer '" + name + "': its heads have " + std::to_string(channels) +
                       " channels, which no model has");
  }
  const DeltaRuleParameters sizes = parameters_of(config);
  const auto part = [&](const char* suffix, int rows) {
    return LinearPart{.name = name + "." + suffix, .out_features = rows};
  };
  switch (config.layout) {
    case Layout::kByKeyHead:
      return parts_by_key_head(name, config);
    case Layout::kMerged:
      return {part("in_proj_qkv", sizes.conv_dim()), part("in_proj_z", sizes.value_size()),
              part("in_proj_b", config.value_heads), part("in_proj_a", config.value_heads)};
    case Layout::kSeparate:
      return {part("q_proj", sizes.key_size()),   part("k_proj", sizes.key_size()),
              part("v_proj", sizes.value_size()), part("g_proj", sizes.value_size()),
              part("b_proj", config.value_heads), part("a_proj", config.value_heads)};
  }
  KRAIT_BUG("an unknown layout of a gated delta net");
}

}  // namespace

GatedDeltaNet::GatedDeltaNet(std::string name, const GatedDeltaNetConfig& config, const LayerContext& context)
    : MambaBase(std::move(name), context),
      config_(config),
      parameters_(parameters_of(config)),
      in_proj_(in_proj_parts(this->name(), config), config.hidden_size, context.parallel, {}),
      out_proj_({{.name = tensor(config.layout == Layout::kSeparate ? "o_proj" : "out_proj"),
                  .out_features = config.hidden_size}},
                parameters_.value_size(), context.parallel, {}) {
  if (context.parallel.size > 1) {
    throw StartupError("layer '" + this->name() + "': a gated delta net cannot be split over ranks in this version");
  }
}

std::vector<StateTensorSpec> GatedDeltaNet::state_tensors() const {
  return gdn_attention_state(context(), config_.key_heads, config_.value_heads, config_.key_dim, config_.value_dim,
                             config_.conv_kernel);
}

void GatedDeltaNet::bind_backend(std::size_t spec, const LayerBackend* backend) {
  require_backend<GdnAttentionBackend>(backend, mamba_type_name(), "GdnAttentionBackend");
  MambaBase::bind_backend(spec, backend);
}

void GatedDeltaNet::load_convolution(WeightLoader& loader) {
  if (config_.layout != Layout::kSeparate) {
    conv_weight_ = loader.conv_weight(tensor("conv1d.weight"), parameters_.conv_dim(), config_.conv_kernel);
    return;
  }
  conv_weight_ = loader.conv_weight({{.weight = tensor("q_conv1d.weight"), .channels = parameters_.key_size()},
                                     {.weight = tensor("k_conv1d.weight"), .channels = parameters_.key_size()},
                                     {.weight = tensor("v_conv1d.weight"), .channels = parameters_.value_size()}},
                                    config_.conv_kernel);
}

void GatedDeltaNet::load(WeightLoader& loader) {
  in_proj_.load(loader);
  out_proj_.load(loader);
  load_convolution(loader);
  a_ = loader.transformed(tensor("A_log"), {config_.value_heads}, negative_exp);
  dt_bias_ = loader.float32(tensor("dt_bias"), {config_.value_heads});
  norm_ = loader.float32(tensor(config_.layout == Layout::kSeparate ? "o_norm.weight" : "norm.weight"),
                         {config_.value_dim});
  parameters_.conv_weight = conv_weight_.view();
  parameters_.a = a_.view();
  parameters_.decay_bias = dt_bias_.view();
}

void GatedDeltaNet::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) {
  const Workspace::Scope scope(context.workspace);
  const TensorView projected = context.workspace.matrix(x.rows(), in_proj_.out_features());
  in_proj_.forward(context.ops, x, projected);
  const std::int64_t values = parameters_.value_size();
  const std::int64_t z = parameters_.conv_dim();
  const TensorView heads = context.workspace.matrix(x.rows(), values);
  bound_backend<GdnAttentionBackend>().forward(
      context.backend(), metadata<MambaMetadata>(context), parameters_, std::get<StateCacheView>(cache()),
      {.qkv = projected.slice_columns(0, z),
       .decay = projected.slice_columns(z + values + config_.value_heads, config_.value_heads),
       .beta = projected.slice_columns(z + values, config_.value_heads),
       .out = heads});
  context.ops.gated_rms_norm({.y = heads,
                              .z = projected.slice_columns(z, values),
                              .weight = norm_.view(),
                              .groups = config_.value_heads,
                              .eps = config_.norm_eps,
                              .order = GateOrder::kNormFirst,
                              .out = heads});
  out_proj_.forward(context.ops, heads, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

}  // namespace krait
