#include <span>

#include "models/architectures/attention_config_reader.h"
#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/layer_types_reader.h"
#include "models/architectures/pre_norm_block.h"
#include "models/layers/attention.h"
#include "models/layers/mlp.h"

namespace krait {
namespace {

/// What llama and its closest relatives have in common: attention and SwiGLU in every layer. Their attention differs.
std::unique_ptr<Model> make_llama_like(const ConfigReader& reader, ModelConfig config,
                                       std::span<const AttentionConfig> attention, const LayerContext& context) {
  reader.require_value("hidden_act", "silu");
  const int hidden = config.hidden_size;
  const std::int64_t width = reader.integer("intermediate_size");
  const GatedMlp::Options mlp{.bias = reader.boolean_or("mlp_bias", false)};
  const auto eps = static_cast<float>(reader.number_or("rms_norm_eps", 1e-6));
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (const AttentionConfig& layer : attention) {
    const std::string prefix = "model.layers." + std::to_string(layers.size());
    const GatedMlp::Names names{.gate_up = {prefix + ".mlp.gate_proj", prefix + ".mlp.up_proj"},
                                .down = prefix + ".mlp.down_proj"};
    layers.push_back(std::make_unique<PreNormBlock>(
        PreNormBlock::Half{.norm = {prefix + ".input_layernorm", hidden, eps},
                           .sublayer = make_sublayer<Attention>(prefix + ".self_attn", layer, context)},
        PreNormBlock::Half{.norm = {prefix + ".post_attention_layernorm", hidden, eps},
                           .sublayer = make_sublayer<GatedMlp>(names, hidden, width, mlp, context)}));
  }
  CausalLm::Frame frame{
      .embedding = "model.embed_tokens", .final_norm = "model.norm", .lm_head = "lm_head", .norm_eps = eps};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

std::vector<AttentionConfig> every_layer(const ModelConfig& config, const AttentionConfig& attention) {
  return std::vector<AttentionConfig>(static_cast<std::size_t>(config.num_layers), attention);
}

/// `sliding_window` counts only with `use_sliding_window`, and then from layer `max_window_layers` on unless
/// `layer_types` says otherwise.
std::vector<AttentionConfig> qwen3_layers(const ConfigReader& reader, const ModelConfig& config,
                                          const AttentionConfig& attention) {
  std::vector<AttentionConfig> layers = every_layer(config, attention);
  const bool windows = reader.boolean_or("use_sliding_window", false) && !reader.is_null("sliding_window");
  const auto window = windows ? static_cast<int>(reader.integer_or("sliding_window", 4096, 1)) : 0;
  std::vector<std::string> types;
  if (reader.has("layer_types")) {
    types = read_layer_types(reader, "layer_types", config.num_layers, {"full_attention", "sliding_attention"});
  }
  const std::int64_t first = reader.integer_or("max_window_layers", 28);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const bool sliding =
        types.empty() ? windows && static_cast<std::int64_t>(i) >= first : types[i] != "full_attention";
    if (sliding && !windows) {
      reader.fail("layer_types",
                  "has a sliding_attention layer, but `use_sliding_window` is false or there is no "
                  "`sliding_window`");
    }
    if (sliding) layers[i].sliding_window = window;
  }
  return layers;
}

}  // namespace

std::unique_ptr<Model> make_llama(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  AttentionConfig attention = read_attention_config(reader, config.hidden_size);
  attention.rope = read_rope_config(reader, attention.head_dim);
  const auto layers = every_layer(config, attention);
  return make_llama_like(reader, std::move(config), layers, context);
}

std::unique_ptr<Model> make_mistral(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  AttentionConfig attention = read_attention_config(reader, config.hidden_size, {.kv_heads = 8});
  attention.rope = read_rope_config(reader, attention.head_dim);
  if (!reader.is_null("sliding_window")) {
    attention.sliding_window = static_cast<int>(reader.integer_or("sliding_window", 4096, 1));
  }
  const auto layers = every_layer(config, attention);
  return make_llama_like(reader, std::move(config), layers, context);
}

std::unique_ptr<Model> make_qwen3(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  AttentionConfig attention = read_attention_config(reader, config.hidden_size, {.head_dim = 128});
  attention.rope = read_rope_config(reader, attention.head_dim);
  attention.qk_norm = QkNorm::kPerHead;
  attention.qk_norm_eps = static_cast<float>(reader.number_or("rms_norm_eps", 1e-6));
  const auto layers = qwen3_layers(reader, config, attention);
  return make_llama_like(reader, std::move(config), layers, context);
}

}  // namespace krait
