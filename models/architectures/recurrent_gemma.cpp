#include <cmath>

#include "models/architectures/attention_config_reader.h"
#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/pre_norm_block.h"
#include "models/config/activation_config.h"
#include "models/layers/attention.h"
#include "models/layers/mlp.h"
#include "models/layers/rg_lru_mixer.h"

namespace krait {
namespace {

struct GriffinConfig {
  RgLruConfig recurrent;
  AttentionConfig attention;
  std::int64_t mlp_width = 0;
  Activation activation = Activation::kGeluTanh;
  float norm_eps = 1e-6F;
};

RmsNorm make_norm(const std::string& name, const GriffinConfig& config) {
  return {name, config.attention.hidden_size, config.norm_eps, RmsNorm::Weight::kZeroCentred};
}

/// A recurrent block or attention, then the MLP.
std::unique_ptr<DecoderLayer> make_layer(const std::string& prefix, const GriffinConfig& config, bool is_recurrent,
                                         const LayerContext& context) {
  const std::string block = prefix + ".temporal_block";
  const std::string mlp = prefix + ".mlp_block";
  return std::make_unique<PreNormBlock>(
      PreNormBlock::Half{.norm = make_norm(prefix + ".temporal_pre_norm", config),
                         .sublayer = is_recurrent ? make_sublayer<RgLruMixer>(block, config.recurrent, context)
                                                  : make_sublayer<Attention>(block, config.attention, context)},
      PreNormBlock::Half{
          .norm = make_norm(prefix + ".channel_pre_norm", config),
          .sublayer = make_sublayer<GatedMlp>(
              GatedMlp::Names{.gate_up = {mlp + ".gate_proj", mlp + ".up_proj"}, .down = mlp + ".down_proj"},
              config.attention.hidden_size, config.mlp_width,
              GatedMlp::Options{.bias = true, .activation = config.activation}, context)});
}

AttentionConfig attention_config(const ConfigReader& reader, int hidden_size) {
  AttentionConfig attention = read_attention_config(reader, hidden_size);
  attention.sliding_window = static_cast<int>(reader.integer_or("attention_window_size", 2048, 1));
  attention.output_bias = true;
  attention.rope = read_rope_config(reader, attention.head_dim, {.default_partial_factor = 0.5});
  return attention;
}

GriffinConfig griffin_config(const ConfigReader& reader, int hidden_size) {
  GriffinConfig griffin;
  griffin.activation = read_activation(reader, "hidden_activation", "gelu_pytorch_tanh");
  griffin.norm_eps = static_cast<float>(reader.number_or("rms_norm_eps", 1e-6));
  griffin.attention = attention_config(reader, hidden_size);
  griffin.recurrent = {.hidden_size = hidden_size,
                       .channels = static_cast<int>(reader.integer_or("lru_width", hidden_size, 1)),
                       .heads = griffin.attention.heads,
                       .conv_kernel = static_cast<int>(reader.integer_or("conv1d_width", 4, 1)),
                       .activation = griffin.activation};
  const std::int64_t intermediate = reader.integer("intermediate_size");
  if (intermediate % 2 != 0) {
    reader.fail("intermediate_size", "must be even, found " + std::to_string(intermediate));
  }
  griffin.mlp_width = intermediate / 2;  // the config counts gate and up together
  return griffin;
}

/// True for a recurrent layer: `block_types` over and over.
std::vector<bool> read_layer_kinds(const ConfigReader& reader, int num_layers) {
  constexpr std::string_view kKey = "block_types";
  std::vector<std::string> pattern{"recurrent", "recurrent", "attention"};
  if (reader.has(kKey)) pattern = reader.strings(kKey);
  if (pattern.empty()) reader.fail(kKey, "must name at least one kind of layer, found an empty list");
  for (const std::string& kind : pattern) {
    if (kind != "recurrent" && kind != "attention") {
      reader.fail(kKey, "has the layer kind '" + kind + "'. Valid kinds: recurrent, attention");
    }
  }
  std::vector<bool> is_recurrent;
  for (std::size_t i = 0; i < static_cast<std::size_t>(num_layers); ++i) {
    is_recurrent.push_back(pattern[i % pattern.size()] == "recurrent");
  }
  return is_recurrent;
}

float round_to_bfloat16(float value) { return bfloat16_to_float(float_to_bfloat16(value)); }

}  // namespace

std::unique_ptr<Model> make_recurrent_gemma(const ConfigReader& reader, ModelConfig config,
                                            const LayerContext& context) {
  if (!reader.boolean_or("embeddings_scale_by_sqrt_dim", true)) {
    reader.fail("embeddings_scale_by_sqrt_dim", "must be true in this version of Krait, found false");
  }
  const GriffinConfig griffin = griffin_config(reader, config.hidden_size);
  const std::vector<bool> is_recurrent = read_layer_kinds(reader, config.num_layers);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    layers.push_back(
        make_layer("model.layers." + std::to_string(i), griffin, is_recurrent[static_cast<std::size_t>(i)], context));
  }
  // The multiplier is bfloat16 in the released weights' arithmetic, whatever the model computes in.
  const float multiplier = round_to_bfloat16(std::sqrt(static_cast<float>(config.hidden_size)));
  CausalLm::Frame frame{.embedding = "model.embed_tokens",
                        .final_norm = "model.final_norm",
                        .lm_head = "lm_head",
                        .norm_eps = griffin.norm_eps,
                        .norm_weight = RmsNorm::Weight::kZeroCentred,
                        .embedding_multiplier = multiplier,
                        .logits_soft_cap = static_cast<float>(reader.number_or("logits_soft_cap", 30.0))};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
