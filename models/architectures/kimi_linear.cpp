#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/kimi_feed_forward.h"
#include "models/architectures/linear_layers.h"
#include "models/architectures/mla_config_reader.h"
#include "models/architectures/pre_norm_block.h"
#include "models/layers/kimi_delta_attention.h"

namespace krait {
namespace {

/// A value of `linear_attn_config`, or of the key that re-saved files have at the top.
int read_linear(const ConfigReader& reader, std::string_view nested_key, std::string_view key, int fallback) {
  const auto nested = reader.object("linear_attn_config");
  const auto top = static_cast<int>(reader.integer_or(key, fallback, 1));
  return nested ? static_cast<int>(nested->integer_or(nested_key, top, 1)) : top;
}

float norm_eps(const ConfigReader& reader) { return static_cast<float>(reader.number_or("rms_norm_eps", 1e-5)); }

KimiDeltaAttentionConfig delta_config(const ConfigReader& reader, int hidden_size) {
  if (const auto nested = reader.object("linear_attn_config")) {
    nested->require_false("use_full_rank_gate");
    if (nested->has("gate_lower_bound")) {
      nested->fail("gate_lower_bound", "must be absent in this version of Krait: it bounds the decay");
    }
  }
  KimiDeltaAttentionConfig delta;
  delta.hidden_size = hidden_size;
  delta.heads = read_linear(reader, "num_heads", "linear_num_heads", 32);
  delta.head_dim = read_linear(reader, "head_dim", "linear_head_dim", 128);
  delta.conv_kernel = read_linear(reader, "short_conv_kernel_size", "linear_conv_kernel_dim", 4);
  delta.norm_eps = norm_eps(reader);
  return delta;
}

/// From two lists of layers that count from 1 and name each layer once; true for Kimi delta attention.
std::vector<bool> linear_layers_of_lists(const ConfigReader& lists, int num_layers) {
  std::vector<int> mentions(static_cast<std::size_t>(num_layers), 0);
  std::vector<bool> linear(static_cast<std::size_t>(num_layers), false);
  for (const bool is_linear : {true, false}) {
    for (const std::int64_t layer : lists.integers(is_linear ? "kda_layers" : "full_attn_layers", 1, num_layers)) {
      const auto index = static_cast<std::size_t>(layer - 1);
      linear[index] = is_linear;
      ++mentions[index];
    }
  }
  for (std::size_t i = 0; i < mentions.size(); ++i) {
    if (mentions[i] == 1) continue;
    lists.fail("kda_layers", "and `full_attn_layers` must name every layer once between them, found layer " +
                                 std::to_string(i + 1) + (mentions[i] == 0 ? " in neither" : " more than once"));
  }
  return linear;
}

std::vector<bool> linear_layers(const ConfigReader& reader, int num_layers) {
  const auto lists = reader.object("linear_attn_config");
  const bool has_lists = lists && lists->has("kda_layers") && lists->has("full_attn_layers");
  if (reader.has("layer_types") || !has_lists) return read_linear_layers(reader, num_layers, 4);
  return linear_layers_of_lists(*lists, num_layers);
}

void refuse_what_is_not_built(const ConfigReader& reader) {
  reader.require_value("mla_use_nope", "true");
  reader.require_false("mla_use_output_gate");
  reader.require_value("attn_res_block_size", "0");
  reader.require_value("num_nextn_predict_layers", "0");
  for (const std::string_view key : {"dense_ffn_hidden", "routed_expert_hidden_size"}) {
    if (reader.has(key)) reader.fail(key, "must be absent in this version of Krait");
  }
}

}  // namespace

std::unique_ptr<Model> make_kimi_linear(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  refuse_what_is_not_built(reader);
  const KimiDeltaAttentionConfig delta = delta_config(reader, config.hidden_size);
  const MlaConfig latent = read_mla_config(reader, config.hidden_size, false);
  const KimiFeedForward feed_forward(
      reader, config, context,
      {.moe = "block_sparse_moe", .gate = "w1", .up = "w3", .down = "w2", .selection_bias = "e_score_correction_bias"});
  const std::vector<bool> linear = linear_layers(reader, config.num_layers);
  const float eps = norm_eps(reader);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    const std::string prefix = "model.layers." + std::to_string(i);
    const std::string mixer = prefix + ".self_attn";
    layers.push_back(std::make_unique<PreNormBlock>(
        PreNormBlock::Half{.norm = {prefix + ".input_layernorm", config.hidden_size, eps},
                           .sublayer = linear[static_cast<std::size_t>(i)]
                                           ? make_sublayer<KimiDeltaAttention>(mixer, delta, context)
                                           : make_sublayer<MlaAttention>(mixer, latent, context)},
        PreNormBlock::Half{.norm = {prefix + ".post_attention_layernorm", config.hidden_size, eps},
                           .sublayer = feed_forward.layer(prefix, i)}));
  }
  CausalLm::Frame frame{
      .embedding = "model.embed_tokens", .final_norm = "model.norm", .lm_head = "lm_head", .norm_eps = eps};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
