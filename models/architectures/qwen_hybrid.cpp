#include "models/architectures/qwen_hybrid.h"

#include "models/architectures/attention_config_reader.h"
#include "models/architectures/causal_lm.h"
#include "models/architectures/linear_layers.h"
#include "models/architectures/pre_norm_block.h"
#include "models/architectures/sublayer_sum.h"
#include "models/layers/attention.h"
#include "models/layers/gated_shared_expert.h"
#include "models/layers/mlp.h"
#include "models/layers/sparse_moe.h"

namespace krait {
namespace {

int read_size(const ConfigReader& reader, std::string_view key, int fallback) {
  return static_cast<int>(reader.integer_or(key, fallback, 1));
}

float norm_eps(const ConfigReader& reader) { return static_cast<float>(reader.number_or("rms_norm_eps", 1e-6)); }

GatedDeltaNetConfig delta_config(const ConfigReader& reader, int hidden_size, GatedDeltaNetConfig::Layout layout) {
  return {.hidden_size = hidden_size,
          .key_heads = read_size(reader, "linear_num_key_heads", 16),
          .value_heads = read_size(reader, "linear_num_value_heads", 32),
          .key_dim = read_size(reader, "linear_key_head_dim", 128),
          .value_dim = read_size(reader, "linear_value_head_dim", 128),
          .conv_kernel = read_size(reader, "linear_conv_kernel_dim", 4),
          .norm_eps = norm_eps(reader),
          .layout = layout};
}

AttentionConfig attention_config(const ConfigReader& reader, int hidden_size) {
  AttentionConfig attention = read_attention_config(reader, hidden_size, {.kv_heads = 2, .head_dim = 256});
  attention.rope = read_rope_config(reader, attention.head_dim, {.default_partial_factor = 0.25});
  attention.qk_norm = QkNorm::kPerHead;
  attention.qk_norm_weight = RmsNorm::Weight::kZeroCentred;
  attention.qk_norm_eps = norm_eps(reader);
  attention.output_gate = OutputGate::kElementwise;
  return attention;
}

class QwenHybridBuilder {
 public:
  QwenHybridBuilder(const ConfigReader& reader, int hidden_size, const LayerContext& context,
                    const QwenHybridOptions& options)
      : reader_(reader),
        hidden_(hidden_size),
        delta_(delta_config(reader, hidden_size, options.layout)),
        attention_(attention_config(reader, hidden_size)),
        context_(context),
        options_(options) {
    reader.require_value("hidden_act", "silu");
    reader.require_false("use_sliding_window");
    reader.require_value("attn_output_gate", "true");
  }

  [[nodiscard]] std::unique_ptr<DecoderLayer> layer(int index, bool is_linear) const {
    const std::string prefix = options_.prefix + ".layers." + std::to_string(index);
    const bool sparse = options_.sparse[static_cast<std::size_t>(index)];
    return std::make_unique<PreNormBlock>(
        PreNormBlock::Half{.norm = norm(prefix + ".input_layernorm"), .sublayer = mixer(prefix, is_linear)},
        PreNormBlock::Half{.norm = norm(prefix + ".post_attention_layernorm"),
                           .sublayer = sparse ? experts(prefix + ".mlp") : dense(prefix + ".mlp")});
  }

 private:
  [[nodiscard]] RmsNorm norm(const std::string& name) const {
    return {name, hidden_, norm_eps(reader_), RmsNorm::Weight::kZeroCentred};
  }

  [[nodiscard]] std::unique_ptr<Sublayer> mixer(const std::string& prefix, bool is_linear) const {
    if (is_linear) return make_sublayer<GatedDeltaNet>(prefix + ".linear_attn", delta_, context_);
    return make_sublayer<Attention>(prefix + ".self_attn", attention_, context_);
  }

  [[nodiscard]] GatedMlp mlp(const std::string& prefix, std::int64_t width) const {
    return {{.gate_up = {prefix + ".gate_proj", prefix + ".up_proj"}, .down = prefix + ".down_proj"},
            hidden_,
            width,
            {},
            context_};
  }

  [[nodiscard]] std::unique_ptr<Sublayer> dense(const std::string& prefix) const {
    return make_sublayer<GatedMlp>(mlp(prefix, reader_.integer("intermediate_size")));
  }

  [[nodiscard]] std::unique_ptr<Sublayer> experts(const std::string& prefix) const {
    const std::int64_t width = read_size(reader_, "shared_expert_intermediate_size", 512);
    GatedSharedExpert shared(mlp(prefix + ".shared_expert", width), prefix + ".shared_expert_gate", hidden_, context_);
    return make_sublayer<SublayerSum<SparseMoe, GatedSharedExpert>>(moe(prefix), std::move(shared));
  }

  [[nodiscard]] SparseMoe moe(const std::string& prefix) const {
    SparseMoe::Router router{.name = prefix + ".gate"};
    router.options.top_k = options_.experts_per_token;
    router.options.scoring = RouterScoring::kSoftmaxThenTopK;
    router.options.renormalize = options_.renormalize;
    const std::string experts = prefix + ".experts";
    return {std::move(router),
            {.separate = {.prefix = experts},
             .stacked = {.gate_up = experts + ".gate_up_proj", .down = experts + ".down_proj"}},
            {.input_size = hidden_,
             .intermediate_size = read_size(reader_, "moe_intermediate_size", 512),
             .experts = options_.experts},
            hidden_,
            context_};
  }

  const ConfigReader& reader_;
  std::int64_t hidden_;
  GatedDeltaNetConfig delta_;
  AttentionConfig attention_;
  const LayerContext& context_;
  const QwenHybridOptions& options_;
};

}  // namespace

std::unique_ptr<Model> make_qwen_hybrid(const ConfigReader& reader, ModelConfig config, const LayerContext& context,
                                        const QwenHybridOptions& options) {
  const QwenHybridBuilder builder(reader, config.hidden_size, context, options);
  const std::vector<bool> linear =
      read_linear_layers(reader, config.num_layers, read_size(reader, "full_attention_interval", 4));
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) layers.push_back(builder.layer(i, linear[static_cast<std::size_t>(i)]));
  CausalLm::Frame frame{.embedding = options.prefix + ".embed_tokens",
                        .final_norm = options.prefix + ".norm",
                        .lm_head = "lm_head",
                        .norm_eps = norm_eps(reader),
                        .norm_weight = RmsNorm::Weight::kZeroCentred,
                        // The vision tower and the layers that guess several tokens ahead.
                        .ignored = {"model.visual.*", "mtp.*"}};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
