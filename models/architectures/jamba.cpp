#include <algorithm>
#include <cmath>
#include <optional>

#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/mamba1_config_reader.h"
#include "models/layers/attention.h"
#include "models/layers/mamba1_mixer.h"
#include "models/layers/mlp.h"
#include "models/layers/rope_tables.h"
#include "models/layers/sparse_moe.h"

namespace krait {
namespace {

/// h += mixer(norm(h)); h += feed_forward(norm(h)), with Mamba-1 or attention, and an MLP or experts.
class JambaLayer final : public DecoderLayer {
 public:
  struct Parts {
    RmsNorm input_norm;
    RmsNorm feed_forward_norm;
    std::unique_ptr<Mamba1Mixer> mamba{};  ///< one of the two
    std::unique_ptr<Attention> attention{};
    std::optional<SparseMoe> moe{};  ///< one of the two
    std::optional<GatedMlp> mlp{};
  };
  explicit JambaLayer(Parts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override {
    if (parts_.mamba) return {parts_.mamba.get()};
    return {parts_.attention.get()};
  }

  void load(WeightLoader& loader, RopeTables& ropes) override {
    parts_.input_norm.load(loader);
    if (parts_.mamba) parts_.mamba->load(loader);
    if (parts_.attention) parts_.attention->load(loader, ropes.get(parts_.attention->rope()));
    parts_.feed_forward_norm.load(loader);
    if (parts_.moe) parts_.moe->load(loader);
    if (parts_.mlp) parts_.mlp->load(loader);
  }

  void forward(ForwardContext& context, const ResidualStream& stream) override {
    const Workspace::Scope scope(context.workspace);
    const TensorView& hidden = stream.hidden;
    const TensorView normed = context.workspace.matrix(hidden.rows(), hidden.columns());
    const LayerOutput output{.into = hidden};
    parts_.input_norm.forward(context.ops, hidden, normed);
    if (parts_.mamba) parts_.mamba->forward(context, normed, output);
    if (parts_.attention) parts_.attention->forward(context, normed, output);
    parts_.feed_forward_norm.forward(context.ops, hidden, normed);
    if (parts_.moe) parts_.moe->forward(context, normed, output);
    if (parts_.mlp) parts_.mlp->forward(context, normed, output);
  }

 private:
  Parts parts_;
};

/// Every `period`-th layer from `offset` on is of some kind.
struct LayerPattern {
  int period = 1;
  int offset = 0;

  [[nodiscard]] bool matches(int layer) const { return layer % period == offset; }
};

LayerPattern read_pattern(const ConfigReader& reader, const std::string& kind, int period, int offset) {
  const std::string offset_key = kind + "_layer_offset";
  const LayerPattern pattern{.period = static_cast<int>(reader.integer_or(kind + "_layer_period", period, 1)),
                             .offset = static_cast<int>(reader.integer_or(offset_key, offset))};
  if (pattern.offset >= pattern.period) {
    reader.fail(offset_key, "is " + std::to_string(pattern.offset) + ", which must be below `" + kind +
                                "_layer_period` (" + std::to_string(pattern.period) + ")");
  }
  return pattern;
}

/// 8 where the key is absent; one a query head where it is null.
int default_kv_heads(const ConfigReader& reader, int heads) {
  const std::vector<std::string> keys = reader.keys();
  return std::find(keys.begin(), keys.end(), "num_key_value_heads") == keys.end() ? 8 : heads;
}

AttentionConfig attention_config(const ConfigReader& reader, int hidden_size) {
  AttentionConfig attention;
  attention.hidden_size = hidden_size;
  attention.heads = static_cast<int>(reader.integer_or("num_attention_heads", 32, 1));
  attention.kv_heads =
      static_cast<int>(reader.integer_or("num_key_value_heads", default_kv_heads(reader, attention.heads), 1));
  attention.head_dim = static_cast<int>(reader.integer_or("head_dim", hidden_size / attention.heads, 1));
  attention.scale = 1.0F / std::sqrt(static_cast<float>(attention.head_dim));
  return attention;
}

Mamba1Config mamba_config(const ConfigReader& reader, int hidden_size, float norm_eps) {
  Mamba1Config mamba = read_mamba1_config(reader, hidden_size,
                                          {.state = "mamba_d_state",
                                           .conv_kernel = "mamba_d_conv",
                                           .expand = "mamba_expand",
                                           .dt_rank = "mamba_dt_rank",
                                           .conv_bias = "mamba_conv_bias",
                                           .proj_bias = "mamba_proj_bias"});
  mamba.norm = Mamba1Norm::kWeighted;
  mamba.norm_eps = norm_eps;
  return mamba;
}

class JambaBuilder {
 public:
  JambaBuilder(const ConfigReader& reader, const ModelConfig& config, float norm_eps, const LayerContext& context)
      : hidden_(config.hidden_size),
        intermediate_(reader.integer("intermediate_size")),
        experts_(static_cast<int>(reader.integer_or("num_experts", 16, 1))),
        experts_per_token_(static_cast<int>(reader.integer_or("num_experts_per_tok", 2, 1))),
        norm_eps_(norm_eps),
        mamba_(mamba_config(reader, config.hidden_size, norm_eps)),
        attention_(attention_config(reader, config.hidden_size)),
        attention_layers_(read_pattern(reader, "attn", 8, 4)),
        expert_layers_(read_pattern(reader, "expert", 2, 1)),
        context_(context) {}

  [[nodiscard]] std::unique_ptr<DecoderLayer> layer(int index) const {
    const std::string prefix = "model.layers." + std::to_string(index);
    JambaLayer::Parts parts{.input_norm = {prefix + ".input_layernorm", hidden_, norm_eps_},
                            .feed_forward_norm = {prefix + ".pre_ff_layernorm", hidden_, norm_eps_}};
    if (attention_layers_.matches(index)) {
      parts.attention = std::make_unique<Attention>(prefix + ".self_attn", attention_, context_);
    } else {
      parts.mamba = std::make_unique<Mamba1Mixer>(prefix + ".mamba", mamba_, context_);
    }
    if (experts_ > 1 && expert_layers_.matches(index)) {
      parts.moe = moe(prefix + ".feed_forward");
    } else {
      parts.mlp = mlp(prefix + ".feed_forward");
    }
    return std::make_unique<JambaLayer>(std::move(parts));
  }

 private:
  [[nodiscard]] SparseMoe moe(const std::string& prefix) const {
    SparseMoe::Router router{.name = prefix + ".router"};
    router.options.top_k = experts_per_token_;
    router.options.scoring = RouterScoring::kSoftmaxThenTopK;
    const std::string experts = prefix + ".experts";
    return SparseMoe(std::move(router),
                     {.separate = {.prefix = experts},
                      .stacked = {.gate_up = experts + ".gate_up_proj", .down = experts + ".down_proj"}},
                     {.input_size = hidden_, .intermediate_size = intermediate_, .experts = experts_}, hidden_,
                     context_);
  }

  [[nodiscard]] GatedMlp mlp(const std::string& prefix) const {
    return GatedMlp({.gate_up = {prefix + ".gate_proj", prefix + ".up_proj"}, .down = prefix + ".down_proj"}, hidden_,
                    intermediate_, {}, context_);
  }

  int hidden_;
  std::int64_t intermediate_;
  int experts_;
  int experts_per_token_;
  float norm_eps_;
  Mamba1Config mamba_;
  AttentionConfig attention_;
  LayerPattern attention_layers_;
  LayerPattern expert_layers_;
  const LayerContext& context_;
};

}  // namespace

std::unique_ptr<Model> make_jamba(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  reader.require_value("hidden_act", "silu");
  if (!reader.boolean_or("mamba_inner_layernorms", true)) {
    reader.fail("mamba_inner_layernorms", "must be true in this version of Krait, found false");
  }
  if (reader.has("sliding_window")) {
    reader.fail("sliding_window", "must be null: this version of Krait has no sliding window for Jamba");
  }
  const auto norm_eps = static_cast<float>(reader.number_or("rms_norm_eps", 1e-6));
  const JambaBuilder builder(reader, config, norm_eps, context);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) layers.push_back(builder.layer(i));
  CausalLm::Frame frame{.embedding = "model.embed_tokens",
                        .final_norm = "model.final_layernorm",
                        .lm_head = "lm_head",
                        .norm_eps = norm_eps};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
