#include <algorithm>

#include "models/architectures/attention_config_reader.h"
#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/layer_types_reader.h"
#include "models/layers/compressed_conv_attention.h"
#include "models/layers/experts.h"
#include "models/layers/mlp_router.h"
#include "models/layers/rope_tables.h"

namespace krait {
namespace {

/// A learned scale and shift of every channel: weight * (x + bias).
struct ChannelScale {
  std::string weight_name;
  std::string bias_name;
  Tensor weight{};
  Tensor bias{};

  void load(WeightLoader& loader, std::int64_t size) {
    weight = loader.float32(weight_name, {size});
    bias = loader.float32(bias_name, {size});
  }
  [[nodiscard]] ScaledTerm of(const TensorView& x) const {
    return {.x = x, .weight = weight.view(), .bias = bias.view()};
  }
};

/// h = scale(f) + scale'(h).
class ResidualScaling {
 public:
  ResidualScaling(const std::string& name, std::int64_t size)
      : size_(size),
        added_{.weight_name = name + ".hidden_states_scale", .bias_name = name + ".hidden_states_bias"},
        residual_{.weight_name = name + ".residual_scale", .bias_name = name + ".residual_bias"} {}

  void load(WeightLoader& loader) {
    added_.load(loader, size_);
    residual_.load(loader, size_);
  }
  void forward(Operations& ops, const TensorView& added, const TensorView& hidden) const {
    ops.scaled_add({.first = added_.of(added), .second = residual_.of(hidden), .out = hidden});
  }

 private:
  std::int64_t size_;
  ChannelScale added_;
  ChannelScale residual_;
};

/// What happens to the embeddings before the first block; keeps nothing of the past.
class ZayaInput final : public DecoderLayer {
 public:
  explicit ZayaInput(std::int64_t size)
      : size_(size),
        scale_{.weight_name = "model.input_hidden_states_scale", .bias_name = "model.input_hidden_states_bias"} {}

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override { return {}; }
  void load(WeightLoader& loader, RopeTables& /*ropes*/) override { scale_.load(loader, size_); }
  void forward(ForwardContext& context, const ResidualStream& stream) override {
    context.ops.scaled_add({.first = scale_.of(stream.hidden), .out = stream.hidden});
  }

 private:
  std::int64_t size_;
  ChannelScale scale_;
};

struct ZayaConfig {
  CompressedConvConfig attention;
  CompressedConvConfig sliding_attention;
  MlpRouter::Config router;
  Experts::Config experts;
  float norm_eps = 1e-5F;
};

/// h = scaled(attention(norm(h))) + scaled(h); h = scaled(moe(norm(h))) + scaled(h). The router's states go on to the
/// next block in the stream's carry.
class ZayaBlock final : public DecoderLayer {
 public:
  ZayaBlock(const std::string& prefix, const ZayaConfig& config, bool sliding, const LayerContext& context)
      : balancing_biases_name_(prefix + ".mlp.gate.balancing_biases"),
        input_norm_(prefix + ".input_layernorm", config.attention.hidden_size, config.norm_eps),
        attention_(prefix + ".self_attn", sliding ? config.sliding_attention : config.attention, context),
        attention_scaling_(prefix + ".post_attention_residual_scale", config.attention.hidden_size),
        post_norm_(prefix + ".post_attention_layernorm", config.attention.hidden_size, config.norm_eps),
        router_(prefix + ".mlp.gate", config.router, context),
        experts_(
            {.separate = {.prefix = prefix + ".mlp.experts"},
             .stacked = {.gate_up = prefix + ".mlp.experts.gate_up_proj", .down = prefix + ".mlp.experts.down_proj"}},
            config.experts, context),
        moe_scaling_(prefix + ".post_mlp_residual_scale", config.attention.hidden_size) {
    router_options_.top_k = 1;
    router_options_.scoring = RouterScoring::kSoftmaxThenTopK;
  }

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override { return {&attention_}; }

  void load(WeightLoader& loader, RopeTables& ropes) override {
    input_norm_.load(loader);
    attention_.load(loader, ropes.get(attention_.rope()));
    attention_scaling_.load(loader);
    post_norm_.load(loader);
    router_.load(loader);
    experts_.load(loader);
    moe_scaling_.load(loader);
    std::vector<float> biases = loader.values(balancing_biases_name_, {router_.classes()});
    biases.back() = -1.0F;  // the class without an expert: the reference sets it so, whatever the file says
    balancing_biases_ = loader.vector(biases);
    router_options_.selection_bias = balancing_biases_.view();
  }

  void forward(ForwardContext& context, const ResidualStream& stream) override {
    const Workspace::Scope scope(context.workspace);
    const TensorView& hidden = stream.hidden;
    const TensorView normed = context.workspace.matrix(hidden.rows(), hidden.columns());
    const TensorView result = context.workspace.matrix(hidden.rows(), hidden.columns());
    const LayerOutput output{.into = result, .accumulate = false};
    input_norm_.forward(context.ops, hidden, normed);
    attention_.forward(context, normed, output);
    attention_scaling_.forward(context.ops, result, hidden);

    post_norm_.forward(context.ops, hidden, normed);
    const TensorView logits = context.workspace.matrix(hidden.rows(), router_.classes());
    router_.forward(context, normed, stream.carry, logits);
    experts_.forward(context, normed, logits, router_options_, output);
    moe_scaling_.forward(context.ops, result, hidden);
  }

 private:
  std::string balancing_biases_name_;
  RmsNorm input_norm_;
  CompressedConvAttention attention_;
  ResidualScaling attention_scaling_;
  RmsNorm post_norm_;
  MlpRouter router_;
  Experts experts_;
  ResidualScaling moe_scaling_;
  RouterOptions router_options_{};
  Tensor balancing_biases_;
};

CompressedConvConfig read_attention(const ConfigReader& reader, const ModelConfig& config) {
  CompressedConvConfig attention;
  attention.hidden_size = config.hidden_size;
  attention.heads = static_cast<int>(reader.integer_or("num_attention_heads", 8, 1));
  attention.kv_heads = read_kv_heads(reader, attention.heads, 2);
  attention.head_dim = static_cast<int>(reader.integer_or("head_dim", 128, 1));
  attention.depthwise_kernel = static_cast<int>(reader.integer_or("cca_time0", 2, 1));
  attention.grouped_kernel = static_cast<int>(reader.integer_or("cca_time1", 2, 1));
  attention.bias = reader.boolean_or("attention_bias", false);
  return attention;
}

/// `layer_types`, absent: full attention everywhere; true for a sliding window.
std::vector<bool> read_sliding_layers(const ConfigReader& reader, int num_layers) {
  std::vector<bool> sliding(static_cast<std::size_t>(num_layers), false);
  if (!reader.has("layer_types")) return sliding;
  const auto types = read_layer_types(reader, "layer_types", num_layers, {"hybrid", "hybrid_sliding"});
  for (std::size_t i = 0; i < sliding.size(); ++i) sliding[i] = types[i] == "hybrid_sliding";
  return sliding;
}

ZayaConfig read_zaya_config(const ConfigReader& reader, const ModelConfig& config, const std::vector<bool>& sliding) {
  reader.require_value("hidden_act", "silu");
  reader.require_value("num_experts_per_tok", "1");
  reader.require_false("lm_head_bias");
  ZayaConfig zaya;
  zaya.attention = read_attention(reader, config);
  zaya.sliding_attention = zaya.attention;
  const auto any = [&](bool kind) { return std::find(sliding.begin(), sliding.end(), kind) != sliding.end(); };
  if (any(false)) {
    zaya.attention.rope = read_rope_config(
        reader, zaya.attention.head_dim, {.layer_kind = "hybrid", .default_theta = 5e6, .default_partial_factor = 0.5});
  }
  if (any(true)) {
    zaya.sliding_attention.sliding_window = static_cast<int>(reader.integer("sliding_window"));
    zaya.sliding_attention.rope = read_rope_config(reader, zaya.attention.head_dim,
                                                   {.layer_kind = "hybrid_sliding", .default_partial_factor = 0.5});
  }
  zaya.norm_eps = static_cast<float>(reader.number_or("rms_norm_eps", 1e-5));
  const auto experts = static_cast<int>(reader.integer_or("num_experts", 16, 1));
  zaya.router = {.hidden_size = config.hidden_size,
                 .router_size = reader.integer_or("router_hidden_size", 256, 1),
                 .classes = experts + 1,
                 .norm_eps = zaya.norm_eps};
  zaya.experts = {.input_size = config.hidden_size,
                  .intermediate_size = reader.integer_or("moe_intermediate_size", 2048, 1),
                  .experts = experts};
  return zaya;
}

}  // namespace

std::unique_ptr<Model> make_zaya(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  const std::vector<bool> sliding = read_sliding_layers(reader, config.num_layers);
  ZayaConfig zaya = read_zaya_config(reader, config, sliding);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  layers.push_back(std::make_unique<ZayaInput>(config.hidden_size));
  for (int i = 0; i < config.num_layers; ++i) {
    zaya.router.first_layer = i == 0;
    layers.push_back(std::make_unique<ZayaBlock>("model.layers." + std::to_string(i), zaya,
                                                 sliding[static_cast<std::size_t>(i)], context));
  }
  CausalLm::Frame frame{.embedding = "model.embed_tokens",
                        .final_norm = "model.norm",
                        .lm_head = "lm_head",
                        .norm_eps = zaya.norm_eps,
                        .carry_width = static_cast<int>(zaya.router.router_size)};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
