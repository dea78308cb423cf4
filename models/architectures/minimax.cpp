#include <memory>

#include "models/architectures/attention_config_reader.h"
#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/layer_types_reader.h"
#include "models/architectures/sublayer.h"
#include "models/layers/attention.h"
#include "models/layers/lightning_attention.h"
#include "models/layers/sparse_moe.h"

namespace krait {
namespace {

/// Half of a layer, whose residual is taken after the norm: n = norm(h); h = alpha n + beta f(n).
struct NormedResidual {
  RmsNorm norm;
  std::unique_ptr<Sublayer> sublayer;
  float alpha = 1.0F;
  float beta = 1.0F;

  void forward(ForwardContext& context, const TensorView& hidden) const {
    const Workspace::Scope scope(context.workspace);
    const TensorView normed = context.workspace.matrix(hidden.rows(), hidden.columns());
    norm.forward(context.ops, hidden, normed);
    context.ops.scaled_add({.first = {.x = normed, .scale = alpha}, .out = hidden});
    sublayer->forward(context, normed, {.into = hidden, .scale = beta, .accumulate = true});
  }
};

class MiniMaxLayer final : public DecoderLayer {
 public:
  MiniMaxLayer(NormedResidual mixer, NormedResidual moe) : mixer_(std::move(mixer)), moe_(std::move(moe)) {}

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override {
    return mixer_.sublayer->attention_layers();
  }

  void load(WeightLoader& loader, RopeTables& ropes) override {
    for (NormedResidual* half : {&mixer_, &moe_}) {
      half->norm.load(loader);
      half->sublayer->load(loader, ropes);
    }
  }

  void forward(ForwardContext& context, const ResidualStream& stream) override {
    mixer_.forward(context, stream.hidden);
    moe_.forward(context, stream.hidden);
  }

 private:
  NormedResidual mixer_;
  NormedResidual moe_;
};

/// `layer_types`, else `attn_type_list` (0 linear, 1 full), else full attention in every second layer from the first
/// on; true for linear attention.
std::vector<bool> read_linear_layers(const ConfigReader& reader, int num_layers) {
  std::vector<bool> linear;
  if (reader.has("layer_types")) {
    for (const std::string& type :
         read_layer_types(reader, "layer_types", num_layers, {"linear_attention", "full_attention"})) {
      linear.push_back(type == "linear_attention");
    }
    return linear;
  }
  if (!reader.has("attn_type_list")) {
    for (int i = 0; i < num_layers; ++i) linear.push_back(i % 2 != 0);
    return linear;
  }
  for (const double type : reader.numbers("attn_type_list")) {
    if (type != 0.0 && type != 1.0) reader.fail("attn_type_list", "must hold 0 (linear) and 1 (full attention) only");
    linear.push_back(type == 0.0);
  }
  if (static_cast<int>(linear.size()) != num_layers) {
    reader.fail("attn_type_list", "has " + std::to_string(linear.size()) + " entries, but `num_hidden_layers` is " +
                                      std::to_string(num_layers));
  }
  return linear;
}

class MiniMaxBuilder {
 public:
  MiniMaxBuilder(const ConfigReader& reader, const ModelConfig& config, const LayerContext& context)
      : reader_(reader),
        hidden_(config.hidden_size),
        eps_(static_cast<float>(reader.number_or("rms_norm_eps", 1e-5))),
        attention_(read_attention_config(reader, config.hidden_size, {.kv_heads = 8})),
        context_(context) {
    reader.require_value("hidden_act", "silu");
    // Released files say how many channels rotate.
    const std::int64_t rotary_dim = reader.integer_or("rotary_dim", attention_.head_dim, 2, attention_.head_dim);
    attention_.rope = read_rope_config(
        reader, attention_.head_dim,
        {.default_theta = 1e6, .default_partial_factor = static_cast<double>(rotary_dim) / attention_.head_dim});
    attention_.sliding_window = static_cast<int>(reader.integer_or("sliding_window", 0, 1));
    lightning_ = {.hidden_size = config.hidden_size,
                  .heads = attention_.heads,
                  .head_dim = attention_.head_dim,
                  .layers = config.num_layers};
  }

  [[nodiscard]] float norm_eps() const { return eps_; }

  [[nodiscard]] std::unique_ptr<DecoderLayer> layer(int index, bool linear) const {
    const std::string prefix = "model.layers." + std::to_string(index);
    const std::string kind = linear ? "linear_attn" : "full_attn";
    LightningAttentionConfig lightning = lightning_;
    lightning.layer = index;
    auto mixer = linear ? make_sublayer<LightningAttention>(prefix + ".self_attn", lightning, context_)
                        : make_sublayer<Attention>(prefix + ".self_attn", attention_, context_);
    return std::make_unique<MiniMaxLayer>(NormedResidual{.norm = {prefix + ".input_layernorm", hidden_, eps_},
                                                         .sublayer = std::move(mixer),
                                                         .alpha = factor(kind + "_alpha_factor"),
                                                         .beta = factor(kind + "_beta_factor")},
                                          NormedResidual{.norm = {prefix + ".post_attention_layernorm", hidden_, eps_},
                                                         .sublayer = moe(prefix + ".block_sparse_moe"),
                                                         .alpha = factor("mlp_alpha_factor"),
                                                         .beta = factor("mlp_beta_factor")});
  }

 private:
  [[nodiscard]] float factor(const std::string& key) const { return static_cast<float>(reader_.number_or(key, 1.0)); }

  [[nodiscard]] std::unique_ptr<Sublayer> moe(const std::string& prefix) const {
    SparseMoe::Router router{.name = prefix + ".gate"};
    router.options.top_k = static_cast<int>(reader_.integer_or("num_experts_per_tok", 2, 1));
    router.options.scoring = RouterScoring::kSoftmaxThenTopK;
    router.options.renormalize = true;
    const Experts::Names names{
        .separate = {.prefix = prefix + ".experts", .gate = "w1", .up = "w3", .down = "w2"},
        .stacked = {.gate_up = prefix + ".experts.gate_up_proj", .down = prefix + ".experts.down_proj"}};
    const Experts::Config experts{.input_size = hidden_,
                                  .intermediate_size = reader_.integer("intermediate_size"),
                                  .experts = static_cast<int>(reader_.integer_or("num_local_experts", 8, 1))};
    return make_sublayer<SparseMoe>(std::move(router), names, experts, hidden_, context_);
  }

  const ConfigReader& reader_;
  std::int64_t hidden_;
  float eps_;
  AttentionConfig attention_;
  LightningAttentionConfig lightning_;
  const LayerContext& context_;
};

}  // namespace

std::unique_ptr<Model> make_minimax(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  const MiniMaxBuilder builder(reader, config, context);
  const std::vector<bool> linear = read_linear_layers(reader, config.num_layers);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    layers.push_back(builder.layer(i, linear[static_cast<std::size_t>(i)]));
  }
  CausalLm::Frame frame{.embedding = "model.embed_tokens",
                        .final_norm = "model.norm",
                        .lm_head = "lm_head",
                        .norm_eps = builder.norm_eps()};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
