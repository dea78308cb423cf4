#include <algorithm>

#include "models/architectures/attention_config_reader.h"
#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/linear_layers.h"
#include "models/architectures/pre_norm_block.h"
#include "models/layers/attention.h"
#include "models/layers/gated_delta_net.h"
#include "models/layers/mlp.h"
#include "models/layers/rope_tables.h"

namespace krait {
namespace {

/// Of the gated norm, whatever the config says, as in the reference.
constexpr float kDeltaNormEps = 1e-5F;

/// h += norm(attention(h)); h += norm(mlp(h)).
class OlmoAttentionLayer final : public DecoderLayer {
 public:
  struct Parts {
    std::unique_ptr<Attention> attention;
    RmsNorm attention_norm;
    GatedMlp mlp;
    RmsNorm mlp_norm;
  };
  explicit OlmoAttentionLayer(Parts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override { return {parts_.attention.get()}; }

  void load(WeightLoader& loader, RopeTables& ropes) override {
    parts_.attention->load(loader, ropes.get(parts_.attention->rope()));
    parts_.attention_norm.load(loader);
    parts_.mlp.load(loader);
    parts_.mlp_norm.load(loader);
  }

  void forward(ForwardContext& context, const ResidualStream& stream) override {
    const Workspace::Scope scope(context.workspace);
    const TensorView& hidden = stream.hidden;
    const TensorView result = context.workspace.matrix(hidden.rows(), hidden.columns());
    parts_.attention->forward(context, hidden, {.into = result, .accumulate = false});
    add_normed(context, parts_.attention_norm, result, hidden);
    parts_.mlp.forward(context, hidden, {.into = result, .accumulate = false});
    add_normed(context, parts_.mlp_norm, result, hidden);
  }

 private:
  static void add_normed(ForwardContext& context, const RmsNorm& norm, const TensorView& result,
                         const TensorView& hidden) {
    norm.forward(context.ops, result, result);
    context.ops.scaled_add({.first = {.x = hidden}, .second = {.x = result}, .out = hidden});
  }

  Parts parts_;
};

GatedDeltaNetConfig delta_config(const ConfigReader& reader, int hidden_size) {
  const auto heads = static_cast<int>(reader.integer("num_attention_heads"));
  GatedDeltaNetConfig delta;
  delta.hidden_size = hidden_size;
  delta.key_heads = static_cast<int>(reader.integer_or("linear_num_key_heads", heads, 1));
  delta.value_heads = static_cast<int>(reader.integer_or("linear_num_value_heads", heads, 1));
  const std::int64_t default_key_dim = std::max(3 * hidden_size / (4 * delta.key_heads), 1);
  delta.key_dim = static_cast<int>(reader.integer_or("linear_key_head_dim", default_key_dim, 1));
  delta.value_dim = static_cast<int>(reader.integer_or("linear_value_head_dim", 2 * delta.key_dim, 1));
  delta.conv_kernel = static_cast<int>(reader.integer_or("linear_conv_kernel_dim", 4, 1));
  delta.beta_scale = reader.boolean_or("linear_allow_neg_eigval", true) ? 2.0F : 1.0F;
  delta.norm_eps = kDeltaNormEps;
  delta.layout = GatedDeltaNetConfig::Layout::kSeparate;
  return delta;
}

/// Only a stated base makes the layers rotate; released models state none.
std::optional<RopeConfig> rope_config(const ConfigReader& reader, int head_dim) {
  const auto parameters = reader.object("rope_parameters");
  if (!parameters || !parameters->has("rope_theta")) return std::nullopt;
  return read_rope_config(reader, head_dim);
}

AttentionConfig attention_config(const ConfigReader& reader, int hidden_size) {
  AttentionConfig attention = read_attention_config(reader, hidden_size);
  attention.rope = rope_config(reader, attention.head_dim);
  attention.qk_norm = QkNorm::kFullWidth;
  attention.qk_norm_eps = static_cast<float>(reader.number_or("rms_norm_eps", 1e-6));
  return attention;
}

class OlmoBuilder {
 public:
  OlmoBuilder(const ConfigReader& reader, int hidden_size, const LayerContext& context)
      : hidden_(hidden_size),
        width_(reader.integer("intermediate_size")),
        eps_(static_cast<float>(reader.number_or("rms_norm_eps", 1e-6))),
        delta_(delta_config(reader, hidden_size)),
        attention_(attention_config(reader, hidden_size)),
        context_(context) {
    reader.require_value("hidden_act", "silu");
  }

  [[nodiscard]] float norm_eps() const { return eps_; }

  [[nodiscard]] std::unique_ptr<DecoderLayer> layer(int index, bool is_linear) const {
    const std::string prefix = "model.layers." + std::to_string(index);
    if (is_linear) {
      return std::make_unique<PreNormBlock>(
          PreNormBlock::Half{.norm = norm(prefix + ".attention_layer_norm"),
                             .sublayer = make_sublayer<GatedDeltaNet>(prefix + ".linear_attn", delta_, context_)},
          PreNormBlock::Half{.norm = norm(prefix + ".feedforward_layer_norm"),
                             .sublayer = make_sublayer<GatedMlp>(mlp(prefix + ".mlp"))});
    }
    return std::make_unique<OlmoAttentionLayer>(
        OlmoAttentionLayer::Parts{.attention = std::make_unique<Attention>(prefix + ".self_attn", attention_, context_),
                                  .attention_norm = norm(prefix + ".post_attention_layernorm"),
                                  .mlp = mlp(prefix + ".mlp"),
                                  .mlp_norm = norm(prefix + ".post_feedforward_layernorm")});
  }

 private:
  [[nodiscard]] RmsNorm norm(const std::string& name) const { return {name, hidden_, eps_}; }

  [[nodiscard]] GatedMlp mlp(const std::string& prefix) const {
    return {{.gate_up = {prefix + ".gate_proj", prefix + ".up_proj"}, .down = prefix + ".down_proj"},
            hidden_,
            width_,
            {},
            context_};
  }

  std::int64_t hidden_;
  std::int64_t width_;
  float eps_;
  GatedDeltaNetConfig delta_;
  AttentionConfig attention_;
  const LayerContext& context_;
};

/// Of a config without `layer_types` every fourth layer is full attention, and the last one where there are fewer.
std::vector<bool> linear_layers(const ConfigReader& reader, int num_layers) {
  std::vector<bool> linear = read_linear_layers(reader, num_layers, 4);
  if (!reader.has("layer_types") && num_layers < 4) linear.back() = false;
  return linear;
}

}  // namespace

std::unique_ptr<Model> make_olmo_hybrid(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  const OlmoBuilder builder(reader, config.hidden_size, context);
  const std::vector<bool> linear = linear_layers(reader, config.num_layers);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) layers.push_back(builder.layer(i, linear[static_cast<std::size_t>(i)]));
  CausalLm::Frame frame{.embedding = "model.embed_tokens",
                        .final_norm = "model.norm",
                        .lm_head = "lm_head",
                        .norm_eps = builder.norm_eps()};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
