#include <optional>

#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/mla_config_reader.h"
#include "models/layers/mlp.h"
#include "models/layers/rope_tables.h"
#include "models/layers/sparse_moe.h"

namespace krait {
namespace {

/// h += attention(norm(h)); h += mlp(norm(h)), or moe(norm(h)) + shared_experts(norm(h)).
class DeepseekLayer final : public DecoderLayer {
 public:
  struct Parts {
    std::unique_ptr<MlaAttention> attention;
    std::optional<SparseMoe> moe;
    std::optional<GatedMlp> mlp;  ///< the dense layer's, or the shared experts as one
    RmsNorm input_norm;
    RmsNorm post_norm;
  };
  explicit DeepseekLayer(Parts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override { return {parts_.attention.get()}; }

  void load(WeightLoader& loader, RopeTables& ropes) override {
    parts_.input_norm.load(loader);
    parts_.attention->load(loader, ropes.get(parts_.attention->rope()));
    parts_.post_norm.load(loader);
    if (parts_.moe) parts_.moe->load(loader);
    if (parts_.mlp) parts_.mlp->load(loader);
  }

  void forward(ForwardContext& context, const ResidualStream& stream) override {
    const Workspace::Scope scope(context.workspace);
    const TensorView& hidden = stream.hidden;
    const TensorView normed = context.workspace.matrix(hidden.rows(), hidden.columns());
    parts_.input_norm.forward(context.ops, hidden, normed);
    parts_.attention->forward(context, normed, {.into = hidden});
    parts_.post_norm.forward(context.ops, hidden, normed);
    if (parts_.moe) parts_.moe->forward(context, normed, {.into = hidden});
    if (parts_.mlp) parts_.mlp->forward(context, normed, {.into = hidden});
  }

 private:
  Parts parts_;
};

class DeepseekBuilder {
 public:
  DeepseekBuilder(const ConfigReader& reader, const ModelConfig& config, const LayerContext& context)
      : reader_(reader),
        hidden_(config.hidden_size),
        dense_layers_(reader.integer_or("first_k_dense_replace", 3)),
        eps_(static_cast<float>(reader.number_or("rms_norm_eps", 1e-6))),
        attention_(read_mla_config(reader, config.hidden_size, true)),
        context_(context) {
    reader.require_value("hidden_act", "silu");
    reader.require_value("scoring_func", "sigmoid");
    reader.require_value("topk_method", "noaux_tc");
    reader.require_value("moe_layer_freq", "1");
  }

  [[nodiscard]] float norm_eps() const { return eps_; }

  [[nodiscard]] std::unique_ptr<DecoderLayer> layer(int index) const {
    const std::string prefix = "model.layers." + std::to_string(index);
    const bool dense = index < dense_layers_;
    DeepseekLayer::Parts parts{.attention = std::make_unique<MlaAttention>(prefix + ".self_attn", attention_, context_),
                               .moe = dense ? std::nullopt : std::optional(moe(prefix + ".mlp")),
                               .mlp = dense ? mlp(prefix + ".mlp", reader_.integer("intermediate_size"))
                                            : shared_experts(prefix + ".mlp.shared_experts"),
                               .input_norm = {prefix + ".input_layernorm", hidden_, eps_},
                               .post_norm = {prefix + ".post_attention_layernorm", hidden_, eps_}};
    return std::make_unique<DeepseekLayer>(std::move(parts));
  }

 private:
  [[nodiscard]] SparseMoe moe(const std::string& prefix) const {
    SparseMoe::Router router{.name = prefix + ".gate", .selection_bias = prefix + ".gate.e_score_correction_bias"};
    RouterOptions& options = router.options;
    options.top_k = static_cast<int>(reader_.integer_or("num_experts_per_tok", 8, 1));
    options.scoring = RouterScoring::kSigmoid;
    options.groups = static_cast<int>(reader_.integer_or("n_group", 8, 1));
    options.top_groups = static_cast<int>(reader_.integer_or("topk_group", 4, 1));
    options.renormalize = reader_.boolean_or("norm_topk_prob", true);
    options.renormalize_eps = 1e-20F;
    options.weight_scale = static_cast<float>(reader_.number_or("routed_scaling_factor", 2.5));
    return {std::move(router),
            {.separate = {.prefix = prefix + ".experts"},
             .stacked = {.gate_up = prefix + ".experts.gate_up_proj", .down = prefix + ".experts.down_proj"}},
            {.input_size = hidden_,
             .intermediate_size = reader_.integer("moe_intermediate_size"),
             .experts = static_cast<int>(reader_.integer("n_routed_experts"))},
            hidden_,
            context_};
  }

  [[nodiscard]] GatedMlp mlp(const std::string& prefix, std::int64_t width) const {
    return {{.gate_up = {prefix + ".gate_proj", prefix + ".up_proj"}, .down = prefix + ".down_proj"},
            hidden_,
            width,
            {},
            context_};
  }

  [[nodiscard]] std::optional<GatedMlp> shared_experts(const std::string& prefix) const {
    const std::int64_t count = reader_.integer_or("n_shared_experts", reader_.is_null("n_shared_experts") ? 0 : 1);
    if (count == 0) return std::nullopt;
    return mlp(prefix, count * reader_.integer("moe_intermediate_size"));
  }

  const ConfigReader& reader_;
  std::int64_t hidden_;
  std::int64_t dense_layers_;
  float eps_;
  MlaConfig attention_;
  const LayerContext& context_;
};

}  // namespace

std::unique_ptr<Model> make_deepseek_v3(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  const DeepseekBuilder builder(reader, config, context);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) layers.push_back(builder.layer(i));
  CausalLm::Frame frame{.embedding = "model.embed_tokens",
                        .final_norm = "model.norm",
                        .lm_head = "lm_head",
                        .norm_eps = builder.norm_eps()};
  // Released checkpoints keep the layers that predict further tokens behind the last one.
  const std::int64_t predicting = reader.integer_or("num_nextn_predict_layers", 0, 0, 1000);
  for (std::int64_t i = 0; i < predicting; ++i) {
    frame.ignored.push_back("model.layers." + std::to_string(config.num_layers + i) + ".*");
  }
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
