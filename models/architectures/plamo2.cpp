#include <algorithm>
#include <cmath>
#include <limits>

#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/pre_norm_block.h"
#include "models/layers/attention.h"
#include "models/layers/mlp.h"
#include "models/layers/plamo2_mixer.h"

namespace krait {
namespace {

// No reference implementation certifies these numbers here. The facts are the published model code's (pfnet/plamo-2):
// norms of q and k have a fixed eps, an attention window of W lets a token see itself and the W before it, and norm
// weights are stored less 1, or less these after a sublayer.
constexpr float kQkNormEps = 1e-6F;
constexpr float kPostMixerOffset = 1.0F / 5.0F;
const float kPostMlpOffset = static_cast<float>(1.0 / std::pow(5.0, 1.5));

AttentionConfig attention_config(const ConfigReader& reader, const ModelConfig& config) {
  AttentionConfig attention;
  attention.hidden_size = config.hidden_size;
  attention.heads = static_cast<int>(reader.integer_or("num_attention_heads", 32, 1));
  attention.kv_heads = static_cast<int>(reader.integer_or("num_key_value_heads", 4, 1));
  attention.head_dim = static_cast<int>(reader.integer_or("hidden_size_per_head", 128, 1));
  attention.scale = 1.0F / std::sqrt(static_cast<float>(attention.head_dim));
  attention.rope = read_rope_config(reader, attention.head_dim);
  attention.qk_norm = QkNorm::kEachHead;
  attention.qk_norm_eps = kQkNormEps;
  attention.names.qkv = "qkv_proj";
  attention.names.q_norm = "q_weight";
  attention.names.k_norm = "k_weight";
  return attention;
}

Plamo2MixerConfig mamba_config(const ConfigReader& reader, const ModelConfig& config, float eps) {
  Plamo2MixerConfig mamba;
  mamba.heads = static_cast<int>(reader.integer_or("mamba_num_heads", 64, 1));
  mamba.head_dim = static_cast<int>(reader.integer_or("hidden_size_per_head", 128, 1));
  mamba.state_size = static_cast<int>(reader.integer_or("mamba_d_state", 64, 1));
  mamba.conv_kernel = static_cast<int>(reader.integer_or("mamba_d_conv", 4, 1));
  mamba.chunk_size = static_cast<int>(reader.integer_or("mamba_chunk_size", 256, 1));
  mamba.conv_bias = false;
  mamba.dt_max = std::numeric_limits<float>::infinity();
  mamba.hidden_size = config.hidden_size;
  mamba.dt_rank = std::max(64, config.hidden_size / 16);
  mamba.norm_eps = eps;
  return mamba;
}

/// `mamba_step` layers in turn, the middle one with attention; a model with fewer layers than half of that has it last.
std::vector<bool> read_attention_layers(const ConfigReader& reader, int num_layers) {
  const std::int64_t step = reader.integer_or("mamba_step", 2, 2);
  const bool mamba = reader.boolean_or("mamba_enabled", true);
  std::vector<bool> is_attention;
  for (int i = 0; i < num_layers; ++i) {
    const bool turn = num_layers <= step / 2 ? i == num_layers - 1 : i % step == step / 2;
    is_attention.push_back(!mamba || turn);
  }
  return is_attention;
}

/// `full_attention_idx`: the attention layers without a window.
std::vector<bool> read_full_attention_layers(const ConfigReader& reader, int num_layers) {
  std::vector<bool> is_full(static_cast<std::size_t>(num_layers), false);
  if (!reader.has("full_attention_idx")) return is_full;
  for (const std::int64_t index : reader.integers("full_attention_idx", 0, num_layers - 1)) {
    is_full[static_cast<std::size_t>(index)] = true;
  }
  return is_full;
}

}  // namespace

std::unique_ptr<Model> make_plamo2(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  reader.require_value("linear_type", "normal");
  if (reader.has("image_feature_size")) {
    reader.fail("image_feature_size", "is set, but this version serves text only");
  }
  const float eps = static_cast<float>(reader.number_or("rms_norm_eps", 1e-6));
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t width = reader.integer_or("intermediate_size", 13312, 1);
  const int window = static_cast<int>(reader.integer_or("attention_window_size", 2048, 1)) + 1;
  const std::vector<bool> is_attention = read_attention_layers(reader, config.num_layers);
  const std::vector<bool> is_full = read_full_attention_layers(reader, config.num_layers);
  const Plamo2MixerConfig mamba = mamba_config(reader, config, eps);
  AttentionConfig attention = attention_config(reader, config);
  const auto norm = [&](const std::string& name, float offset) {
    return RmsNorm(name, hidden, eps, RmsNorm::Weight::kZeroCentred, offset);
  };
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    const std::string prefix = "model.layers.layers." + std::to_string(i);
    const auto layer = static_cast<std::size_t>(i);
    attention.sliding_window = is_full[layer] ? 0 : window;
    const GatedMlp::Names mlp{.gate_up = {prefix + ".mlp.gate_up_proj"}, .down = prefix + ".mlp.down_proj"};
    layers.push_back(std::make_unique<PreNormBlock>(
        PreNormBlock::Half{.norm = norm(prefix + ".pre_mixer_norm", 1.0F),
                           .sublayer = is_attention[layer]
                                           ? make_sublayer<Attention>(prefix + ".mixer", attention, context)
                                           : make_sublayer<Plamo2Mixer>(prefix + ".mixer", mamba, context),
                           .post_norm = norm(prefix + ".post_mixer_norm", kPostMixerOffset)},
        PreNormBlock::Half{.norm = norm(prefix + ".pre_mlp_norm", 1.0F),
                           .sublayer = make_sublayer<GatedMlp>(mlp, hidden, width, GatedMlp::Options{}, context),
                           .post_norm = norm(prefix + ".post_mlp_norm", kPostMlpOffset)}));
  }
  CausalLm::Frame frame{.embedding = "model.embed_tokens",
                        .final_norm = "model.norm",
                        .lm_head = "lm_head",
                        .norm_eps = eps,
                        .norm_weight = RmsNorm::Weight::kZeroCentred};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
