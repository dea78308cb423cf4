#include <cmath>

#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/layers/attention.h"
#include "models/layers/mlp.h"
#include "models/layers/rope_tables.h"

namespace krait {
namespace {

struct LlamaConfig {
  AttentionConfig attention;
  std::int64_t intermediate_size = 0;
  bool mlp_bias = false;
  float norm_eps = 1e-6F;
};

/// h += attention(norm(h)); h += mlp(norm(h)).
class LlamaLayer final : public DecoderLayer {
 public:
  LlamaLayer(const std::string& prefix, const LlamaConfig& config, const LayerContext& context)
      : input_norm_(prefix + ".input_layernorm", config.attention.hidden_size, config.norm_eps),
        attention_(prefix + ".self_attn", config.attention, context),
        post_norm_(prefix + ".post_attention_layernorm", config.attention.hidden_size, config.norm_eps),
        mlp_({.gate_up = {prefix + ".mlp.gate_proj", prefix + ".mlp.up_proj"}, .down = prefix + ".mlp.down_proj"},
             config.attention.hidden_size, config.intermediate_size, {.bias = config.mlp_bias}, context) {}

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override { return {&attention_}; }

  void load(WeightLoader& loader, RopeTables& ropes) override {
    input_norm_.load(loader);
    attention_.load(loader, ropes.get(attention_.rope()));
    post_norm_.load(loader);
    mlp_.load(loader);
  }

  void forward(ForwardContext& context, const ResidualStream& stream) override {
    const Workspace::Scope scope(context.workspace);
    const TensorView& hidden = stream.hidden;
    const TensorView normed = context.workspace.matrix(hidden.rows(), hidden.columns());
    input_norm_.forward(context.ops, hidden, normed);
    attention_.forward(context, normed, {.into = hidden});
    post_norm_.forward(context.ops, hidden, normed);
    mlp_.forward(context, normed, {.into = hidden});
  }

 private:
  RmsNorm input_norm_;
  Attention attention_;
  RmsNorm post_norm_;
  GatedMlp mlp_;
};

LlamaConfig read_llama_config(const ConfigReader& reader, const ModelConfig& config) {
  LlamaConfig llama;
  AttentionConfig& attention = llama.attention;
  attention.hidden_size = config.hidden_size;
  attention.heads = static_cast<int>(reader.integer("num_attention_heads"));
  attention.kv_heads = static_cast<int>(reader.integer_or("num_key_value_heads", attention.heads, 1));
  attention.head_dim = static_cast<int>(reader.integer_or("head_dim", config.hidden_size / attention.heads, 1));
  attention.scale = 1.0F / std::sqrt(static_cast<float>(attention.head_dim));
  attention.bias = reader.boolean_or("attention_bias", false);
  attention.output_bias = attention.bias;
  attention.rope = read_rope_config(reader, attention.head_dim);
  llama.intermediate_size = reader.integer("intermediate_size");
  llama.mlp_bias = reader.boolean_or("mlp_bias", false);
  llama.norm_eps = static_cast<float>(reader.number_or("rms_norm_eps", 1e-6));
  return llama;
}

}  // namespace

std::unique_ptr<Model> make_llama(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  reader.require_value("hidden_act", "silu");
  const LlamaConfig llama = read_llama_config(reader, config);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    layers.push_back(std::make_unique<LlamaLayer>("model.layers." + std::to_string(i), llama, context));
  }
  CausalLm::Frame frame{
      .embedding = "model.embed_tokens", .final_norm = "model.norm", .lm_head = "lm_head", .norm_eps = llama.norm_eps};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

std::unique_ptr<Model> make_mistral(const ConfigReader& reader, ModelConfig config, const LayerContext& /*context*/) {
  reader.fail("architectures", "names '" + config.architecture + "', which is not built yet");
}

std::unique_ptr<Model> make_qwen3(const ConfigReader& reader, ModelConfig config, const LayerContext& /*context*/) {
  reader.fail("architectures", "names '" + config.architecture + "', which is not built yet");
}

}  // namespace krait
