#include <algorithm>

#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/kimi_feed_forward.h"
#include "models/architectures/linear_layers.h"
#include "models/architectures/mla_config_reader.h"
#include "models/architectures/pre_norm_block.h"
#include "models/layers/kimi_delta_attention.h"

namespace krait {
namespace {

float norm_eps(const ConfigReader& reader) { return static_cast<float>(reader.number_or("rms_norm_eps", 1e-6)); }

/// In a released config `head_dim` is these layers' head size; in a re-saved one it has become the rotary size of the
/// latent attention, and `linear_head_dim` is theirs.
KimiDeltaAttentionConfig delta_config(const ConfigReader& reader, int hidden_size) {
  const auto heads = static_cast<int>(reader.integer("num_attention_heads"));
  KimiDeltaAttentionConfig delta;
  delta.hidden_size = hidden_size;
  delta.heads = static_cast<int>(reader.integer_or("linear_num_heads", heads, 1));
  delta.head_dim = static_cast<int>(reader.integer(reader.has("linear_head_dim") ? "linear_head_dim" : "head_dim"));
  const char* kernel = reader.has("linear_conv_kernel_dim") ? "linear_conv_kernel_dim" : "short_conv_kernel_size";
  delta.conv_kernel = static_cast<int>(reader.integer_or(kernel, 4, 1));
  delta.norm_eps = norm_eps(reader);
  delta.low_rank = false;
  delta.output = "dense";
  if (reader.boolean_or("kda_safe_gate", true)) {
    delta.decay_kind = DeltaDecay::kBoundedSigmoid;
    delta.lower_bound = static_cast<float>(reader.number_or("kda_lower_bound", -5.0));
    if (!(delta.lower_bound < 0.0F)) {
      reader.fail("kda_lower_bound", "must be below 0, found " + std::to_string(delta.lower_bound));
    }
  }
  return delta;
}

MlaConfig latent_config(const ConfigReader& reader, int hidden_size) {
  MlaConfig latent = read_mla_config(reader, hidden_size, true);
  latent.names = {.o = "dense", .gate = "g_proj"};
  return latent;
}

void refuse_what_is_not_built(const ConfigReader& reader) {
  for (const std::string_view key :
       {"use_bias", "use_qkv_bias", "use_kda_lora", "use_mla_nope", "kda_allow_neg_eigval"}) {
    reader.require_false(key);
  }
  reader.require_value("linear_attention", "kda");
  reader.require_value("no_kda_lora", "true");
  reader.require_value("gated_attention_proj_granularity_type", "head_wise");
  reader.require_value("moe_router_enable_expert_bias", "true");
  for (const std::string_view key : {"expert_swiglu_limit_list", "share_expert_swiglu_limit_list"}) {
    if (!reader.has(key)) continue;
    const std::vector<double> limits = reader.numbers(key);
    if (std::any_of(limits.begin(), limits.end(), [](double limit) { return limit != 0.0; })) {
      reader.fail(key, "must be all 0 in this version of Krait: it limits the experts' activations");
    }
  }
}

/// The layers after the last, which guess several tokens ahead.
std::vector<std::string> extra_layers(const ConfigReader& reader, int num_layers) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < reader.integer_or("num_nextn_predict_layers", 0); ++i) {
    names.push_back("model.layers." + std::to_string(num_layers + i) + ".*");
  }
  return names;
}

}  // namespace

std::unique_ptr<Model> make_bailing_hybrid(const ConfigReader& reader, ModelConfig config,
                                           const LayerContext& context) {
  refuse_what_is_not_built(reader);
  const KimiDeltaAttentionConfig delta = delta_config(reader, config.hidden_size);
  const MlaConfig latent = latent_config(reader, config.hidden_size);
  const KimiFeedForward feed_forward(reader, config, context, {.selection_bias = "expert_bias"});
  const std::vector<bool> linear =
      read_linear_layers(reader, config.num_layers, static_cast<int>(reader.integer_or("layer_group_size", 8, 1)));
  const float eps = norm_eps(reader);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    const std::string prefix = "model.layers." + std::to_string(i);
    const std::string mixer = prefix + ".attention";
    layers.push_back(std::make_unique<PreNormBlock>(
        PreNormBlock::Half{.norm = {prefix + ".input_layernorm", config.hidden_size, eps},
                           .sublayer = linear[static_cast<std::size_t>(i)]
                                           ? make_sublayer<KimiDeltaAttention>(mixer, delta, context)
                                           : make_sublayer<MlaAttention>(mixer, latent, context)},
        PreNormBlock::Half{.norm = {prefix + ".post_attention_layernorm", config.hidden_size, eps},
                           .sublayer = feed_forward.layer(prefix, i)}));
  }
  CausalLm::Frame frame{.embedding = "model.word_embeddings",
                        .final_norm = "model.norm",
                        .lm_head = "lm_head",
                        .norm_eps = eps,
                        .ignored = extra_layers(reader, config.num_layers)};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
