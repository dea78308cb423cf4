#include <cmath>

#include "kernels/dtype.h"
#include "models/architectures/attention_config_reader.h"
#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/layer_types_reader.h"
#include "models/architectures/pre_norm_block.h"
#include "models/layers/attention.h"
#include "models/layers/mlp.h"

namespace krait {
namespace {

constexpr auto kZeroCentred = RmsNorm::Weight::kZeroCentred;

/// `layer_types`, else full attention in every `sliding_window_pattern`-th layer; true for a sliding window.
std::vector<bool> read_sliding_layers(const ConfigReader& reader, int num_layers) {
  std::vector<bool> sliding;
  if (reader.has("layer_types")) {
    for (const std::string& type :
         read_layer_types(reader, "layer_types", num_layers, {"sliding_attention", "full_attention"})) {
      sliding.push_back(type == "sliding_attention");
    }
    return sliding;
  }
  const std::int64_t pattern =
      reader.integer_or("sliding_window_pattern", reader.integer_or("_sliding_window_pattern", 6, 1), 1);
  for (int i = 0; i < num_layers; ++i) sliding.push_back((i + 1) % pattern != 0);
  return sliding;
}

/// The square root of the hidden size, in the type that the embeddings have in the checkpoint.
float embedding_multiplier(const ModelConfig& config) {
  const float root = std::sqrt(static_cast<float>(config.hidden_size));
  if (config.dtype == DType::kBFloat16) return bfloat16_to_float(float_to_bfloat16(root));
  if (config.dtype == DType::kFloat16) return float16_to_float(float_to_float16(root));
  return root;
}

class Gemma3Builder {
 public:
  Gemma3Builder(const ConfigReader& reader, const ModelConfig& config, const LayerContext& context)
      : reader_(reader),
        hidden_(config.hidden_size),
        width_(reader.integer("intermediate_size")),
        eps_(static_cast<float>(reader.number_or("rms_norm_eps", 1e-6))),
        attention_(read_attention_config(reader, config.hidden_size, {.kv_heads = 4, .head_dim = 256})),
        context_(context) {
    reader.require_value("hidden_activation", "gelu_pytorch_tanh");
    reader.require_false("use_bidirectional_attention");
    attention_.scale = static_cast<float>(1.0 / std::sqrt(reader.number_or("query_pre_attn_scalar", 256.0)));
    attention_.logits_soft_cap = static_cast<float>(reader.number_or("attn_logit_softcapping", 0.0));
    attention_.qk_norm = QkNorm::kPerHead;
    attention_.qk_norm_weight = kZeroCentred;
    attention_.qk_norm_eps = eps_;
  }

  [[nodiscard]] float norm_eps() const { return eps_; }

  [[nodiscard]] std::unique_ptr<DecoderLayer> layer(int index, bool sliding) const {
    const std::string prefix = "model.layers." + std::to_string(index);
    AttentionConfig attention = attention_;
    if (sliding) {
      attention.sliding_window = static_cast<int>(reader_.integer_or("sliding_window", 4096, 1));
      attention.rope = read_rope_config(reader_, attention.head_dim,
                                        {.layer_kind = "sliding_attention", .own_theta_key = "rope_local_base_freq"});
    } else {
      attention.rope =
          read_rope_config(reader_, attention.head_dim, {.layer_kind = "full_attention", .default_theta = 1e6});
    }
    const GatedMlp::Names mlp{.gate_up = {prefix + ".mlp.gate_proj", prefix + ".mlp.up_proj"},
                              .down = prefix + ".mlp.down_proj"};
    return std::make_unique<PreNormBlock>(
        PreNormBlock::Half{.norm = norm(prefix + ".input_layernorm"),
                           .sublayer = make_sublayer<Attention>(prefix + ".self_attn", attention, context_),
                           .post_norm = norm(prefix + ".post_attention_layernorm")},
        PreNormBlock::Half{.norm = norm(prefix + ".pre_feedforward_layernorm"),
                           .sublayer = make_sublayer<GatedMlp>(
                               mlp, hidden_, width_, GatedMlp::Options{.activation = Activation::kGeluTanh}, context_),
                           .post_norm = norm(prefix + ".post_feedforward_layernorm")});
  }

 private:
  [[nodiscard]] RmsNorm norm(const std::string& name) const { return {name, hidden_, eps_, kZeroCentred}; }

  const ConfigReader& reader_;
  std::int64_t hidden_;
  std::int64_t width_;
  float eps_;
  AttentionConfig attention_;
  const LayerContext& context_;
};

}  // namespace

std::unique_ptr<Model> make_gemma3(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  const Gemma3Builder builder(reader, config, context);
  const std::vector<bool> sliding = read_sliding_layers(reader, config.num_layers);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    layers.push_back(builder.layer(i, sliding[static_cast<std::size_t>(i)]));
  }
  CausalLm::Frame frame{.embedding = "model.embed_tokens",
                        .final_norm = "model.norm",
                        .lm_head = "lm_head",
                        .norm_eps = builder.norm_eps(),
                        .norm_weight = kZeroCentred,
                        .embedding_multiplier = embedding_multiplier(config),
                        .logits_soft_cap = static_cast<float>(reader.number_or("final_logit_softcapping", 0.0))};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
