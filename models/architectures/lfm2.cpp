#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/layer_types_reader.h"
#include "models/architectures/lfm_config_reader.h"
#include "models/architectures/pre_norm_block.h"
#include "models/layers/attention.h"
#include "models/layers/mlp.h"
#include "models/layers/sparse_moe.h"

namespace krait {
namespace {

/// `layer_types`, else the layers that `full_attn_idxs` numbers (absent: all); true for attention, false for a short
/// convolution.
std::vector<bool> read_attention_layers(const ConfigReader& reader, int num_layers) {
  std::vector<bool> attention;
  if (reader.has("layer_types")) {
    for (const std::string& type : read_layer_types(reader, "layer_types", num_layers, {"conv", "full_attention"})) {
      attention.push_back(type == "full_attention");
    }
    return attention;
  }
  attention.assign(static_cast<std::size_t>(num_layers), !reader.has("full_attn_idxs"));
  if (!reader.has("full_attn_idxs")) return attention;
  for (const double index : reader.numbers("full_attn_idxs")) {
    if (!(index >= 0 && index < num_layers)) {
      reader.fail("full_attn_idxs", "must number layers from 0 to " + std::to_string(num_layers - 1) + ", found " +
                                        std::to_string(index));
    }
    attention[static_cast<std::size_t>(index)] = true;
  }
  return attention;
}

/// The released files give the width before two thirds of it are taken, under either of two names.
std::int64_t read_mlp_width(const ConfigReader& reader) {
  std::int64_t width = reader.integer_or("block_ff_dim", reader.integer_or("intermediate_size", 12288, 1), 1);
  if (!reader.boolean_or("block_auto_adjust_ff_dim", true)) return width;
  width = 2 * width / 3;
  if (reader.is_null("block_ffn_dim_multiplier")) return width;
  const double multiplier = reader.number_or("block_ffn_dim_multiplier", 1.0);
  if (!(multiplier > 0.0 && multiplier <= 1000.0)) {
    reader.fail("block_ffn_dim_multiplier", "must be above 0 and at most 1000, found " + std::to_string(multiplier));
  }
  width = static_cast<std::int64_t>(multiplier * static_cast<double>(width));
  const std::int64_t multiple = reader.integer_or("block_multiple_of", 256, 1);
  return (width + multiple - 1) / multiple * multiple;
}

class Lfm2Builder {
 public:
  Lfm2Builder(const ConfigReader& reader, const ModelConfig& config, const LayerContext& context)
      : reader_(reader),
        hidden_(config.hidden_size),
        eps_(read_lfm_norm_eps(reader)),
        attention_(read_lfm_attention_config(reader, config.hidden_size)),
        conv_(read_short_conv_config(reader, config.hidden_size)),
        context_(context) {
    attention_.rope = read_rope_config(reader, attention_.head_dim, {.default_theta = 1e6});
    attention_.names.o = "out_proj";
    attention_.names.q_norm = "q_layernorm";
    attention_.names.k_norm = "k_layernorm";
  }

  [[nodiscard]] std::unique_ptr<DecoderLayer> layer(int index, bool attention,
                                                    std::unique_ptr<Sublayer> feed_forward) const {
    const std::string prefix = prefix_of(index);
    auto mixer = attention ? make_sublayer<Attention>(prefix + ".self_attn", attention_, context_)
                           : make_sublayer<ShortConvMixer>(prefix + ".conv", conv_, context_);
    return std::make_unique<PreNormBlock>(
        PreNormBlock::Half{.norm = {prefix + ".operator_norm", hidden_, eps_}, .sublayer = std::move(mixer)},
        PreNormBlock::Half{.norm = {prefix + ".ffn_norm", hidden_, eps_}, .sublayer = std::move(feed_forward)});
  }

  [[nodiscard]] std::unique_ptr<Sublayer> mlp(int index, std::int64_t width) const {
    const std::string prefix = prefix_of(index) + ".feed_forward";
    return make_sublayer<GatedMlp>(GatedMlp::Names{.gate_up = {prefix + ".w1", prefix + ".w3"}, .down = prefix + ".w2"},
                                   hidden_, width, GatedMlp::Options{}, context_);
  }

  [[nodiscard]] std::unique_ptr<Sublayer> moe(int index) const {
    const std::string prefix = prefix_of(index) + ".feed_forward";
    SparseMoe::Router router{.name = prefix + ".gate"};
    if (reader_.boolean_or("use_expert_bias", true)) router.selection_bias = prefix + ".expert_bias";
    RouterOptions& options = router.options;
    options.top_k = static_cast<int>(reader_.integer_or("num_experts_per_tok", 4, 1));
    options.scoring = RouterScoring::kSigmoid;
    options.renormalize = reader_.boolean_or("norm_topk_prob", true);
    options.renormalize_eps = 1e-6F;
    options.weight_scale = static_cast<float>(reader_.number_or("routed_scaling_factor", 1.0));
    const Experts::Names names{
        .separate = {.prefix = prefix + ".experts", .gate = "w1", .up = "w3", .down = "w2"},
        .stacked = {.gate_up = prefix + ".experts.gate_up_proj", .down = prefix + ".experts.down_proj"}};
    const Experts::Config experts{.input_size = hidden_,
                                  .intermediate_size = reader_.integer_or("moe_intermediate_size", 1792, 1),
                                  .experts = static_cast<int>(reader_.integer_or("num_experts", 32, 1))};
    return make_sublayer<SparseMoe>(std::move(router), names, experts, hidden_, context_);
  }

  [[nodiscard]] CausalLm::Frame frame() const {
    return {.embedding = "model.embed_tokens",
            .final_norm = "model.embedding_norm",
            .lm_head = "lm_head",
            .norm_eps = eps_};
  }

 private:
  static std::string prefix_of(int index) { return "model.layers." + std::to_string(index); }

  const ConfigReader& reader_;
  std::int64_t hidden_;
  float eps_;
  AttentionConfig attention_;
  ShortConvConfig conv_;
  const LayerContext& context_;
};

}  // namespace

std::unique_ptr<Model> make_lfm2(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  config.tie_word_embeddings = read_lfm_tie_embedding(reader);
  const Lfm2Builder builder(reader, config, context);
  const std::vector<bool> attention = read_attention_layers(reader, config.num_layers);
  const std::int64_t width = read_mlp_width(reader);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    layers.push_back(builder.layer(i, attention[static_cast<std::size_t>(i)], builder.mlp(i, width)));
  }
  return std::make_unique<CausalLm>(std::move(config), builder.frame(), std::move(layers), context);
}

std::unique_ptr<Model> make_lfm2_moe(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  config.tie_word_embeddings = read_lfm_tie_embedding(reader);
  const Lfm2Builder builder(reader, config, context);
  const std::vector<bool> attention = read_attention_layers(reader, config.num_layers);
  const std::int64_t dense_layers = reader.integer_or("num_dense_layers", 2);
  const std::int64_t width = reader.integer_or("intermediate_size", 7168, 1);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    layers.push_back(builder.layer(i, attention[static_cast<std::size_t>(i)],
                                   i < dense_layers ? builder.mlp(i, width) : builder.moe(i)));
  }
  return std::make_unique<CausalLm>(std::move(config), builder.frame(), std::move(layers), context);
}

}  // namespace krait
