#include "models/architectures/attention_config_reader.h"
#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/layer_types_reader.h"
#include "models/architectures/pre_norm_block.h"
#include "models/layers/attention.h"
#include "models/layers/sparse_moe.h"

namespace krait {
namespace {

/// `layer_types`, else a window in every second layer, from the first on.
std::vector<bool> read_sliding_layers(const ConfigReader& reader, int num_layers) {
  std::vector<bool> sliding;
  if (reader.has("layer_types")) {
    for (const std::string& type :
         read_layer_types(reader, "layer_types", num_layers, {"sliding_attention", "full_attention"})) {
      sliding.push_back(type == "sliding_attention");
    }
    return sliding;
  }
  for (int i = 0; i < num_layers; ++i) sliding.push_back(i % 2 == 0);
  return sliding;
}

/// A config that says nothing of scaling means the family's YaRN, from 4096 positions to 32 times as many.
RopeConfig rope_config(const ConfigReader& reader, int head_dim) {
  RopeConfig rope = read_rope_config(reader, head_dim, {.default_theta = 150000.0});
  if (reader.has("rope_parameters") || reader.has("rope_scaling")) return rope;
  rope.type = RopeType::kYarn;
  rope.factor = 32.0;
  rope.original_positions = 4096.0;
  rope.truncate = false;
  rope.attention_factor = yarn_mscale(rope.factor, 1.0);
  return rope;
}

class GptOssBuilder {
 public:
  GptOssBuilder(const ConfigReader& reader, const ModelConfig& config, const LayerContext& context)
      : reader_(reader),
        hidden_(config.hidden_size),
        eps_(static_cast<float>(reader.number_or("rms_norm_eps", 1e-5))),
        attention_(read_attention_config(reader, config.hidden_size, {.kv_heads = 8, .head_dim = 64, .bias = true})),
        context_(context) {
    reader.require_value("hidden_act", "silu");
    if (reader.number_or("swiglu_alpha", 1.702) != 1.702) {
      reader.fail("swiglu_alpha", "must be 1.702 in this version of Krait");
    }
    attention_.rope = rope_config(reader, attention_.head_dim);
    attention_.sinks = true;
  }

  [[nodiscard]] float norm_eps() const { return eps_; }

  [[nodiscard]] std::unique_ptr<DecoderLayer> layer(int index, bool sliding) const {
    const std::string prefix = "model.layers." + std::to_string(index);
    AttentionConfig attention = attention_;
    if (sliding && !reader_.is_null("sliding_window"))
      attention.sliding_window = static_cast<int>(reader_.integer_or("sliding_window", 128, 1));
    return std::make_unique<PreNormBlock>(
        PreNormBlock::Half{.norm = {prefix + ".input_layernorm", hidden_, eps_},
                           .sublayer = make_sublayer<Attention>(prefix + ".self_attn", attention, context_)},
        PreNormBlock::Half{.norm = {prefix + ".post_attention_layernorm", hidden_, eps_},
                           .sublayer = moe(prefix + ".mlp")});
  }

 private:
  [[nodiscard]] std::unique_ptr<Sublayer> moe(const std::string& prefix) const {
    SparseMoe::Router router{.name = prefix + ".router", .bias = true};
    const std::int64_t top_k = reader_.integer_or("experts_per_token", 4, 1);
    router.options.top_k = static_cast<int>(reader_.integer_or("num_experts_per_tok", top_k, 1));
    router.options.scoring = RouterScoring::kTopKThenSoftmax;
    const Experts::Names names{.separate = {.prefix = prefix + ".experts"},
                               .stacked = {.gate_up = prefix + ".experts.gate_up_proj",
                                           .down = prefix + ".experts.down_proj",
                                           .interleaved_with_bias = true},
                               .usually_stacked = true};
    const Experts::Config experts{.input_size = hidden_,
                                  .intermediate_size = reader_.integer("intermediate_size"),
                                  .experts = static_cast<int>(reader_.integer_or("num_local_experts", 128, 1)),
                                  .activation = Activation::kSwigluClamp,
                                  .limit = static_cast<float>(reader_.number_or("swiglu_limit", 7.0))};
    return make_sublayer<SparseMoe>(std::move(router), names, experts, hidden_, context_);
  }

  const ConfigReader& reader_;
  std::int64_t hidden_;
  float eps_;
  AttentionConfig attention_;
  const LayerContext& context_;
};

}  // namespace

std::unique_ptr<Model> make_gpt_oss(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  const GptOssBuilder builder(reader, config, context);
  const std::vector<bool> sliding = read_sliding_layers(reader, config.num_layers);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    layers.push_back(builder.layer(i, sliding[static_cast<std::size_t>(i)]));
  }
  CausalLm::Frame frame{.embedding = "model.embed_tokens",
                        .final_norm = "model.norm",
                        .lm_head = "lm_head",
                        .norm_eps = builder.norm_eps()};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
