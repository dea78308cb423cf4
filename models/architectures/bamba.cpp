#include "models/architectures/attention_config_reader.h"
#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/mamba2_config_reader.h"
#include "models/architectures/pre_norm_block.h"
#include "models/layers/attention.h"
#include "models/layers/mamba2_mixer.h"
#include "models/layers/mlp.h"

namespace krait {
namespace {

Mamba2Config mamba_config(const ConfigReader& reader, const ModelConfig& config) {
  Mamba2Config mamba = read_mamba2_config(reader, config.hidden_size,
                                          {.heads = "mamba_n_heads",
                                           .head_dim = "mamba_d_head",
                                           .groups = "mamba_n_groups",
                                           .state = "mamba_d_state",
                                           .conv_kernel = "mamba_d_conv",
                                           .chunk_size = "mamba_chunk_size",
                                           .expand = "mamba_expand",
                                           .norm_eps = "rms_norm_eps"});
  read_time_step_limit(reader, mamba);
  mamba.in_proj_bias = reader.boolean_or("mamba_proj_bias", false);
  mamba.out_proj_bias = mamba.in_proj_bias;
  mamba.conv_bias = reader.boolean_or("mamba_conv_bias", true);
  return mamba;
}

/// `attn_layer_indices`, counted from 0; true for an attention layer.
std::vector<bool> read_attention_layers(const ConfigReader& reader, int num_layers) {
  std::vector<bool> is_attention(static_cast<std::size_t>(num_layers), false);
  if (!reader.has("attn_layer_indices")) return is_attention;
  for (const std::int64_t index : reader.integers("attn_layer_indices", 0, num_layers - 1)) {
    is_attention[static_cast<std::size_t>(index)] = true;
  }
  return is_attention;
}

}  // namespace

std::unique_ptr<Model> make_bamba(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  reader.require_value("hidden_act", "silu");
  const float eps = static_cast<float>(reader.number_or("rms_norm_eps", 1e-5));
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t width = reader.integer_or("intermediate_size", 14336, 1);
  const GatedMlp::Options mlp_options{.bias = reader.boolean_or("mlp_bias", false)};
  const std::vector<bool> is_attention = read_attention_layers(reader, config.num_layers);
  const Mamba2Config mamba = mamba_config(reader, config);
  AttentionConfig attention = read_attention_config(reader, config.hidden_size, {.kv_heads = 8});
  // Half of every head rotates, whatever the config says.
  attention.rope =
      read_rope_config(reader, attention.head_dim, {.default_partial_factor = 0.5, .partial_factor_fixed = true});
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    const std::string prefix = "model.layers." + std::to_string(i);
    const GatedMlp::Names mlp{.gate_up = {prefix + ".feed_forward.gate_proj", prefix + ".feed_forward.up_proj"},
                              .down = prefix + ".feed_forward.down_proj"};
    layers.push_back(std::make_unique<PreNormBlock>(
        PreNormBlock::Half{.norm = {prefix + ".input_layernorm", hidden, eps},
                           .sublayer = is_attention[static_cast<std::size_t>(i)]
                                           ? make_sublayer<Attention>(prefix + ".self_attn", attention, context)
                                           : make_sublayer<Mamba2Mixer>(prefix + ".mamba", mamba, context)},
        PreNormBlock::Half{.norm = {prefix + ".pre_ff_layernorm", hidden, eps},
                           .sublayer = make_sublayer<GatedMlp>(mlp, hidden, width, mlp_options, context)}));
  }
  CausalLm::Frame frame{
      .embedding = "model.embed_tokens", .final_norm = "model.final_layernorm", .lm_head = "lm_head", .norm_eps = eps};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
