#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/layer_types_reader.h"
#include "models/architectures/lfm_config_reader.h"
#include "models/architectures/pre_norm_block.h"
#include "models/layers/attention.h"
#include "models/layers/mlp.h"

namespace krait {
namespace {

class Lfm3Builder {
 public:
  Lfm3Builder(const ConfigReader& reader, const ModelConfig& config, const LayerContext& context)
      : reader_(reader),
        hidden_(config.hidden_size),
        width_(reader.integer("intermediate_size")),
        eps_(read_lfm_norm_eps(reader)),
        sandwich_(reader.boolean_or("use_sandwich_norm", true)),
        attention_(read_lfm_attention_config(reader, config.hidden_size)),
        conv_(read_short_conv_config(reader, config.hidden_size)),
        context_(context) {
    if (reader.boolean_or("use_attention_gate", true)) attention_.output_gate = OutputGate::kPerHead;
  }

  /// `type` as in `layer_types`.
  [[nodiscard]] std::unique_ptr<DecoderLayer> layer(int index, const std::string& type) const {
    const std::string prefix = "model.layers." + std::to_string(index);
    const std::string mlp = prefix + ".feed_forward";
    return std::make_unique<PreNormBlock>(
        half(prefix + ".operator_norm", prefix + ".post_operator_norm", mixer(prefix, type)),
        half(prefix + ".ffn_norm", prefix + ".post_ffn_norm",
             make_sublayer<GatedMlp>(GatedMlp::Names{.gate_up = {mlp + ".w1", mlp + ".w3"}, .down = mlp + ".w2"},
                                     hidden_, width_, GatedMlp::Options{}, context_)));
  }

  [[nodiscard]] CausalLm::Frame frame() const {
    return {.embedding = "model.embed_tokens",
            .final_norm = "model.embedding_norm",
            .lm_head = "lm_head",
            .norm_eps = eps_};
  }

 private:
  [[nodiscard]] PreNormBlock::Half half(const std::string& norm, const std::string& post_norm,
                                        std::unique_ptr<Sublayer> sublayer) const {
    PreNormBlock::Half half{.norm = {norm, hidden_, eps_}, .sublayer = std::move(sublayer)};
    if (sandwich_) half.post_norm.emplace(post_norm, hidden_, eps_);
    return half;
  }

  [[nodiscard]] std::unique_ptr<Sublayer> mixer(const std::string& prefix, const std::string& type) const {
    if (type == "conv") return make_sublayer<ShortConvMixer>(prefix + ".conv", conv_, context_);
    AttentionConfig attention = attention_;
    const bool sliding = type == "sliding_attention";
    if (sliding) attention.sliding_window = static_cast<int>(reader_.integer("sliding_window"));
    attention.rope =
        read_rope_config(reader_, attention.head_dim, {.layer_kind = type, .default_theta = sliding ? 1e4 : 1e6});
    return make_sublayer<Attention>(prefix + ".self_attn", attention, context_);
  }

  const ConfigReader& reader_;
  std::int64_t hidden_;
  std::int64_t width_;
  float eps_;
  bool sandwich_;
  AttentionConfig attention_;
  ShortConvConfig conv_;
  const LayerContext& context_;
};

}  // namespace

std::unique_ptr<Model> make_lfm3(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  config.tie_word_embeddings = read_lfm_tie_embedding(reader);
  const Lfm3Builder builder(reader, config, context);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (const std::string& type :
       read_layer_types(reader, "layer_types", config.num_layers, {"conv", "full_attention", "sliding_attention"})) {
    layers.push_back(builder.layer(static_cast<int>(layers.size()), type));
  }
  return std::make_unique<CausalLm>(std::move(config), builder.frame(), std::move(layers), context);
}

}  // namespace krait
