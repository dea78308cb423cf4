#include <optional>

#include "models/architectures/attention_config_reader.h"
#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/layer_types_reader.h"
#include "models/architectures/mamba2_config_reader.h"
#include "models/layers/attention.h"
#include "models/layers/mamba2_mixer.h"
#include "models/layers/mlp.h"
#include "models/layers/rope_tables.h"
#include "models/layers/sparse_moe.h"

namespace krait {
namespace {

/// h += m * mixer(norm(h)); h += m * (moe(norm(h)) + shared_mlp(norm(h))), with m the residual multiplier.
class GraniteLayer final : public DecoderLayer {
 public:
  struct Parts {
    std::unique_ptr<Mamba2Mixer> mamba;  ///< one of the two
    std::unique_ptr<Attention> attention;
    std::optional<SparseMoe> moe;
    std::optional<GatedMlp> shared_mlp;
    RmsNorm input_norm;
    RmsNorm post_norm;
    float residual_multiplier;
  };
  explicit GraniteLayer(Parts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override {
    if (parts_.mamba) return {parts_.mamba.get()};
    return {parts_.attention.get()};
  }

  void load(WeightLoader& loader, RopeTables& ropes) override {
    parts_.input_norm.load(loader);
    if (parts_.mamba) parts_.mamba->load(loader);
    if (parts_.attention) parts_.attention->load(loader, ropes.get(parts_.attention->rope()));
    parts_.post_norm.load(loader);
    if (parts_.moe) parts_.moe->load(loader);
    if (parts_.shared_mlp) parts_.shared_mlp->load(loader);
  }

  void forward(ForwardContext& context, const ResidualStream& stream) override {
    const Workspace::Scope scope(context.workspace);
    const TensorView& hidden = stream.hidden;
    const TensorView normed = context.workspace.matrix(hidden.rows(), hidden.columns());
    const LayerOutput output{.into = hidden, .scale = parts_.residual_multiplier, .accumulate = true};
    parts_.input_norm.forward(context.ops, hidden, normed);
    if (parts_.mamba) parts_.mamba->forward(context, normed, output);
    if (parts_.attention) parts_.attention->forward(context, normed, output);
    parts_.post_norm.forward(context.ops, hidden, normed);
    if (parts_.moe) parts_.moe->forward(context, normed, output);
    if (parts_.shared_mlp) parts_.shared_mlp->forward(context, normed, output);
  }

 private:
  Parts parts_;
};

AttentionConfig attention_config(const ConfigReader& reader, const ModelConfig& config) {
  AttentionConfig attention = read_attention_config(reader, config.hidden_size);
  attention.scale = static_cast<float>(reader.number_or("attention_multiplier", 1.0));
  const std::string position = reader.string_or("position_embedding_type", "nope");
  if (position == "rope") {
    attention.rope = read_rope_config(reader, attention.head_dim);
  } else if (position != "nope") {
    reader.fail("position_embedding_type", "is '" + position + "'. Valid values: rope, nope, null");
  }
  return attention;
}

Mamba2Config mamba_config(const ConfigReader& reader, const ModelConfig& config) {
  Mamba2Config mamba = read_mamba2_config(reader, config.hidden_size,
                                          {.heads = "mamba_n_heads",
                                           .head_dim = "mamba_d_head",
                                           .groups = "mamba_n_groups",
                                           .state = "mamba_d_state",
                                           .conv_kernel = "mamba_d_conv",
                                           .chunk_size = "mamba_chunk_size",
                                           .expand = "mamba_expand",
                                           .norm_eps = "rms_norm_eps",
                                           .default_norm_eps = 1e-6});
  read_time_step_limit(reader, mamba);
  mamba.in_proj_bias = reader.boolean_or("mamba_proj_bias", false);
  mamba.out_proj_bias = mamba.in_proj_bias;
  mamba.conv_bias = reader.boolean_or("mamba_conv_bias", true);
  return mamba;
}

/// `layer_types` or `layers_block_type`, in the published spelling or in the one of re-saved files; true for a Mamba-2
/// layer, which all are without either.
std::vector<bool> read_layer_kinds(const ConfigReader& reader, int num_layers) {
  const char* key = reader.has("layer_types") ? "layer_types" : "layers_block_type";
  if (!reader.has(key)) return std::vector<bool>(static_cast<std::size_t>(num_layers), true);
  std::vector<bool> is_mamba;
  for (const std::string& kind :
       read_layer_types(reader, key, num_layers, {"mamba", "attention", "linear_attention", "full_attention"})) {
    is_mamba.push_back(kind == "mamba" || kind == "linear_attention");
  }
  return is_mamba;
}

class GraniteBuilder {
 public:
  GraniteBuilder(const ConfigReader& reader, const ModelConfig& config, const LayerContext& context)
      : reader_(reader),
        hidden_(config.hidden_size),
        eps_(static_cast<float>(reader.number_or("rms_norm_eps", 1e-6))),
        residual_(static_cast<float>(reader.number_or("residual_multiplier", 1.0))),
        mamba_(mamba_config(reader, config)),
        attention_(attention_config(reader, config)),
        context_(context) {
    reader.require_value("hidden_act", "silu");
    reader.require_value("normalization_function", "rmsnorm");
  }

  [[nodiscard]] std::unique_ptr<DecoderLayer> layer(int index, bool is_mamba) const {
    const std::string prefix = "model.layers." + std::to_string(index);
    GraniteLayer::Parts parts{.mamba = nullptr,
                              .attention = nullptr,
                              .moe = moe(prefix + ".block_sparse_moe"),
                              .shared_mlp = shared_mlp(prefix + ".shared_mlp"),
                              .input_norm = {prefix + ".input_layernorm", hidden_, eps_},
                              .post_norm = {prefix + ".post_attention_layernorm", hidden_, eps_},
                              .residual_multiplier = residual_};
    if (is_mamba) {
      parts.mamba = std::make_unique<Mamba2Mixer>(prefix + ".mamba", mamba_, context_);
    } else {
      parts.attention = std::make_unique<Attention>(prefix + ".self_attn", attention_, context_);
    }
    return std::make_unique<GraniteLayer>(std::move(parts));
  }

 private:
  [[nodiscard]] std::optional<SparseMoe> moe(const std::string& prefix) const {
    const auto experts = static_cast<int>(reader_.integer_or("num_local_experts", 8));
    if (experts == 0) return std::nullopt;
    SparseMoe::Router router{.name = prefix + ".router.layer", .selection_bias = {}};
    router.options.top_k = static_cast<int>(reader_.integer_or("num_experts_per_tok", 2, 1));
    router.options.scoring = RouterScoring::kTopKThenSoftmax;
    return SparseMoe(std::move(router),
                     {.separate = {.prefix = prefix + ".experts"},
                      .stacked = {.gate_up = prefix + ".input_linear.weight", .down = prefix + ".output_linear.weight"},
                      .usually_stacked = true},
                     {.input_size = hidden_,
                      .intermediate_size = reader_.integer_or("intermediate_size", 11008, 1),
                      .experts = experts},
                     hidden_, context_);
  }

  [[nodiscard]] std::optional<GatedMlp> shared_mlp(const std::string& prefix) const {
    const std::int64_t width = reader_.integer_or("shared_intermediate_size", 1024);
    if (width == 0) return std::nullopt;
    return GatedMlp({.gate_up = {prefix + ".input_linear"}, .down = prefix + ".output_linear"}, hidden_, width, {},
                    context_);
  }

  const ConfigReader& reader_;
  std::int64_t hidden_;
  float eps_;
  float residual_;
  Mamba2Config mamba_;
  AttentionConfig attention_;
  const LayerContext& context_;
};

}  // namespace

std::unique_ptr<Model> make_granite_moe_hybrid(const ConfigReader& reader, ModelConfig config,
                                               const LayerContext& context) {
  const GraniteBuilder builder(reader, config, context);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  const std::vector<bool> kinds = read_layer_kinds(reader, config.num_layers);
  for (int i = 0; i < config.num_layers; ++i) layers.push_back(builder.layer(i, kinds[static_cast<std::size_t>(i)]));
  CausalLm::Frame frame{.embedding = "model.embed_tokens",
                        .final_norm = "model.norm",
                        .lm_head = "lm_head",
                        .norm_eps = static_cast<float>(reader.number_or("rms_norm_eps", 1e-6)),
                        .embedding_multiplier = static_cast<float>(reader.number_or("embedding_multiplier", 1.0)),
                        .logits_multiplier = static_cast<float>(1.0 / reader.number_or("logits_scaling", 1.0))};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
