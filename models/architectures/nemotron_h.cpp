#include <cmath>
#include <optional>

#include "models/architectures/attention_config_reader.h"
#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/mamba2_config_reader.h"
#include "models/config/activation_config.h"
#include "models/layers/attention.h"
#include "models/layers/mamba2_mixer.h"
#include "models/layers/mlp.h"
#include "models/layers/sparse_moe.h"

namespace krait {
namespace {

enum class LayerKind : std::uint8_t { kMamba, kAttention, kMlp, kMoe };

/// Routed experts of the input, or of a narrower projection of it whose weighted sum is projected back, and one shared
/// expert of the input itself.
struct NemotronMoe {
  SparseMoe routed;
  Mlp shared;
  std::optional<Linear> into_latent;
  std::optional<Linear> out_of_latent;

  void load(WeightLoader& loader) {
    routed.load(loader);
    shared.load(loader);
    if (into_latent) into_latent->load(loader);
    if (out_of_latent) out_of_latent->load(loader);
  }

  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) const {
    if (into_latent) {
      const Workspace::Scope scope(context.workspace);
      const TensorView latent = context.workspace.matrix(x.rows(), into_latent->out_features());
      const TensorView sum = context.workspace.matrix(x.rows(), latent.columns());
      into_latent->forward(context.ops, x, latent);
      routed.forward(context, x, {.into = sum, .accumulate = false}, latent);
      out_of_latent->forward(context.ops, sum, output.into, {.scale = output.scale, .accumulate = output.accumulate});
    } else {
      routed.forward(context, x, output);
    }
    shared.forward(context, x, {.into = output.into, .scale = output.scale, .accumulate = true});
  }
};

/// h += mixer(norm(h)), with one mixer of the four kinds and nothing else.
class NemotronLayer final : public DecoderLayer {
 public:
  struct Parts {
    RmsNorm norm;
    std::unique_ptr<Mamba2Mixer> mamba;  ///< one of the four
    std::unique_ptr<Attention> attention;
    std::optional<Mlp> mlp;
    std::optional<NemotronMoe> moe;
  };
  explicit NemotronLayer(Parts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override {
    if (parts_.mamba) return {parts_.mamba.get()};
    if (parts_.attention) return {parts_.attention.get()};
    return {};
  }

  void load(WeightLoader& loader, RopeTables& /*ropes*/) override {
    parts_.norm.load(loader);
    if (parts_.mamba) parts_.mamba->load(loader);
    if (parts_.attention) parts_.attention->load(loader, nullptr);
    if (parts_.mlp) parts_.mlp->load(loader);
    if (parts_.moe) parts_.moe->load(loader);
  }

  void forward(ForwardContext& context, const ResidualStream& stream) override {
    const Workspace::Scope scope(context.workspace);
    const TensorView& hidden = stream.hidden;
    const TensorView normed = context.workspace.matrix(hidden.rows(), hidden.columns());
    const LayerOutput output{.into = hidden};
    parts_.norm.forward(context.ops, hidden, normed);
    if (parts_.mamba) parts_.mamba->forward(context, normed, output);
    if (parts_.attention) parts_.attention->forward(context, normed, output);
    if (parts_.mlp) parts_.mlp->forward(context, normed, output);
    if (parts_.moe) parts_.moe->forward(context, normed, output);
  }

 private:
  Parts parts_;
};

LayerKind kind_of_letter(const ConfigReader& reader, char letter) {
  switch (letter) {
    case 'M':
      return LayerKind::kMamba;
    case '*':
      return LayerKind::kAttention;
    case '-':
      return LayerKind::kMlp;
    case 'E':
      return LayerKind::kMoe;
    default:
      reader.fail("hybrid_override_pattern",
                  std::string("has the letter '") + letter +
                      "'. Valid letters: M (Mamba-2), * (attention), - (MLP), E (mixture of experts)");
  }
}

LayerKind kind_of_name(const ConfigReader& reader, const std::string& name) {
  if (name == "mamba" || name == "linear_attention") return LayerKind::kMamba;
  if (name == "attention" || name == "full_attention") return LayerKind::kAttention;
  if (name == "mlp") return LayerKind::kMlp;
  if (name == "moe") return LayerKind::kMoe;
  reader.fail("layers_block_type", "has the layer kind '" + name +
                                       "'. Valid kinds: mamba, attention, mlp, moe (or linear_attention, "
                                       "full_attention)");
}

/// The layers in order; their number is the model's, whatever `num_hidden_layers` says.
std::vector<LayerKind> read_layer_kinds(const ConfigReader& reader) {
  std::vector<LayerKind> kinds;
  if (reader.has("layers_block_type")) {
    for (const std::string& name : reader.strings("layers_block_type")) kinds.push_back(kind_of_name(reader, name));
  } else {
    for (const char letter : reader.string("hybrid_override_pattern")) kinds.push_back(kind_of_letter(reader, letter));
  }
  return kinds;
}

/// Older configs have other names for a few settings; where such a name is there, it counts.
std::string_view older_or(const ConfigReader& reader, std::string_view older, std::string_view key) {
  return reader.has(older) ? older : key;
}

Mamba2Config mamba_config(const ConfigReader& reader, const ModelConfig& config) {
  Mamba2Config mamba = read_mamba2_config(reader, config.hidden_size,
                                          {.heads = "mamba_num_heads",
                                           .head_dim = "mamba_head_dim",
                                           .groups = older_or(reader, "mamba_n_groups", "n_groups"),
                                           .state = "ssm_state_size",
                                           .conv_kernel = older_or(reader, "mamba_d_conv", "conv_kernel"),
                                           .chunk_size = older_or(reader, "mamba_chunk_size", "chunk_size"),
                                           .expand = {},
                                           .norm_eps = "layer_norm_epsilon",
                                           .default_head_dim = 64,
                                           .default_groups = 8,
                                           .default_state = 128,
                                           .default_chunk_size = 128,
                                           .inner_size = kAnyInnerSize});
  read_time_step_min(reader, mamba, older_or(reader, "mamba_dt_min", "time_step_min"));
  mamba.in_proj_bias = reader.boolean_or("use_bias", false);
  mamba.out_proj_bias = mamba.in_proj_bias;
  mamba.conv_bias = reader.boolean_or(older_or(reader, "mamba_conv_bias", "use_conv_bias"), true);
  return mamba;
}

AttentionConfig attention_config(const ConfigReader& reader, const ModelConfig& config) {
  AttentionConfig attention;
  attention.hidden_size = config.hidden_size;
  attention.heads = static_cast<int>(reader.integer_or("num_attention_heads", 32, 1));
  attention.kv_heads = read_kv_heads(reader, attention.heads, 8);
  attention.head_dim = static_cast<int>(reader.integer_or(older_or(reader, "attention_head_dim", "head_dim"), 128, 1));
  attention.scale = 1.0F / std::sqrt(static_cast<float>(attention.head_dim));
  return attention;
}

class NemotronBuilder {
 public:
  NemotronBuilder(const ConfigReader& reader, const ModelConfig& config, const LayerContext& context)
      : reader_(reader),
        hidden_(config.hidden_size),
        mamba_(mamba_config(reader, config)),
        attention_(attention_config(reader, config)),
        mlp_{.bias = reader.boolean_or("mlp_bias", false),
             .activation = read_activation(reader, "mlp_hidden_act", "relu2")},
        context_(context) {
    reader.require_value("mamba_hidden_act", "silu");
    reader.require_false("attention_bias");
    if (reader.has("sliding_window")) {
      reader.fail("sliding_window", "is set, but this version has only full attention for this architecture");
    }
  }

  [[nodiscard]] float norm_eps() const { return mamba_.norm_eps; }

  [[nodiscard]] std::unique_ptr<DecoderLayer> layer(int index, LayerKind kind) const {
    const std::string prefix = "backbone.layers." + std::to_string(index);
    const std::string mixer = prefix + ".mixer";
    NemotronLayer::Parts parts{.norm = {prefix + ".norm", hidden_, norm_eps()},
                               .mamba = nullptr,
                               .attention = nullptr,
                               .mlp = std::nullopt,
                               .moe = std::nullopt};
    switch (kind) {
      case LayerKind::kMamba:
        parts.mamba = std::make_unique<Mamba2Mixer>(mixer, mamba_, context_);
        break;
      case LayerKind::kAttention:
        parts.attention = std::make_unique<Attention>(mixer, attention_, context_);
        break;
      case LayerKind::kMlp:
        parts.mlp = mlp(mixer, reader_.integer_or("intermediate_size", 21504, 1));
        break;
      case LayerKind::kMoe:
        parts.moe = moe(mixer);
        break;
    }
    return std::make_unique<NemotronLayer>(std::move(parts));
  }

 private:
  [[nodiscard]] Mlp mlp(const std::string& prefix, std::int64_t width) const {
    return {{.up = prefix + ".up_proj", .down = prefix + ".down_proj"}, hidden_, width, mlp_, context_};
  }

  [[nodiscard]] SparseMoe routed_experts(const std::string& prefix, std::int64_t input_size) const {
    SparseMoe::Router router{.name = prefix + ".gate", .selection_bias = prefix + ".gate.e_score_correction_bias"};
    RouterOptions& options = router.options;
    options.top_k = static_cast<int>(reader_.integer_or("num_experts_per_tok", 2, 1));
    options.scoring = RouterScoring::kSigmoid;
    options.groups = static_cast<int>(reader_.integer_or("n_group", 1, 1));
    options.top_groups = static_cast<int>(reader_.integer_or("topk_group", 1, 1));
    options.renormalize = reader_.boolean_or("norm_topk_prob", true);
    options.renormalize_eps = 1e-20F;
    options.weight_scale = static_cast<float>(reader_.number_or("routed_scaling_factor", 1.0));
    return {std::move(router),
            {.separate = {.prefix = prefix + ".experts"},
             .stacked = {.gate_up = prefix + ".experts.up_proj", .down = prefix + ".experts.down_proj"}},
            {.input_size = input_size,
             .intermediate_size = reader_.integer_or("moe_intermediate_size", 7688, 1),
             .experts = static_cast<int>(reader_.integer_or("n_routed_experts", 8, 1)),
             .activation = mlp_.activation,
             .gated = false},
            hidden_,
            context_};
  }

  [[nodiscard]] NemotronMoe moe(const std::string& prefix) const {
    reader_.require_value("n_shared_experts", "1");
    const std::int64_t latent = reader_.integer_or("moe_latent_size", 0, 1);
    NemotronMoe moe{
        .routed = routed_experts(prefix, latent > 0 ? latent : hidden_),
        .shared = mlp(prefix + ".shared_experts", reader_.integer_or("moe_shared_expert_intermediate_size", 7688, 1)),
        .into_latent = std::nullopt,
        .out_of_latent = std::nullopt};
    if (latent > 0) {
      moe.into_latent = linear(prefix + ".fc1_latent_proj", hidden_, latent);
      moe.out_of_latent = linear(prefix + ".fc2_latent_proj", latent, hidden_);
    }
    return moe;
  }

  [[nodiscard]] Linear linear(const std::string& name, std::int64_t in, std::int64_t out) const {
    return {{{.name = name, .out_features = out}}, in, context_.parallel, {.bias = mlp_.bias}};
  }

  const ConfigReader& reader_;
  std::int64_t hidden_;
  Mamba2Config mamba_;
  AttentionConfig attention_;
  Mlp::Options mlp_;
  const LayerContext& context_;
};

}  // namespace

std::unique_ptr<Model> make_nemotron_h(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  const std::vector<LayerKind> kinds = read_layer_kinds(reader);
  config.num_layers = static_cast<int>(kinds.size());
  const NemotronBuilder builder(reader, config, context);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) layers.push_back(builder.layer(i, kinds[static_cast<std::size_t>(i)]));
  CausalLm::Frame frame{.embedding = "backbone.embeddings",
                        .final_norm = "backbone.norm_f",
                        .lm_head = "lm_head",
                        .norm_eps = builder.norm_eps(),
                        .ignored = {"mtp.*"}};  // the layers that predict several tokens ahead
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
