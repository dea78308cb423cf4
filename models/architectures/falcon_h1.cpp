#include <array>

#include "models/architectures/attention_config_reader.h"
#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/mamba2_config_reader.h"
#include "models/layers/attention.h"
#include "models/layers/mamba2_mixer.h"
#include "models/layers/mlp.h"
#include "models/layers/rope_tables.h"

namespace krait {
namespace {

struct FalconConfig {
  Mamba2Config mamba;
  AttentionConfig attention;
  std::int64_t intermediate_size = 0;
  GatedMlp::Options mlp;
  float norm_eps = 1e-5F;
  float ssm_out = 1.0F;
  float attention_in = 1.0F;
  float attention_out = 1.0F;
  float mlp_down = 1.0F;
};

/// n = norm(h); h += ssm_out * mamba(n) + attention_out * attention(attention_in * n); h += mlp_down * mlp(norm(h)).
class FalconLayer final : public DecoderLayer {
 public:
  FalconLayer(const std::string& prefix, const FalconConfig& config, const LayerContext& context)
      : config_(config),
        input_norm_(prefix + ".input_layernorm", config.mamba.hidden_size, config.norm_eps),
        mamba_(prefix + ".mamba", config.mamba, context),
        attention_(prefix + ".self_attn", config.attention, context),
        pre_ff_norm_(prefix + ".pre_ff_layernorm", config.mamba.hidden_size, config.norm_eps),
        mlp_({.gate_up = {prefix + ".feed_forward.gate_proj", prefix + ".feed_forward.up_proj"},
              .down = prefix + ".feed_forward.down_proj"},
             config.mamba.hidden_size, config.intermediate_size, config.mlp, context) {}

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override { return {&mamba_, &attention_}; }

  void load(WeightLoader& loader, RopeTables& ropes) override {
    input_norm_.load(loader);
    mamba_.load(loader);
    attention_.load(loader, ropes.get(attention_.rope()));
    pre_ff_norm_.load(loader);
    mlp_.load(loader);
  }

  void forward(ForwardContext& context, const ResidualStream& stream) override {
    const Workspace::Scope scope(context.workspace);
    const TensorView& hidden = stream.hidden;
    const TensorView normed = context.workspace.matrix(hidden.rows(), hidden.columns());
    input_norm_.forward(context.ops, hidden, normed);
    mamba_.forward(context, normed, {.into = hidden, .scale = config_.ssm_out});
    if (config_.attention_in != 1.0F) {
      context.ops.scaled_add({.first = {.x = normed, .scale = config_.attention_in}, .out = normed});
    }
    attention_.forward(context, normed, {.into = hidden, .scale = config_.attention_out});
    pre_ff_norm_.forward(context.ops, hidden, normed);
    mlp_.forward(context, normed, {.into = hidden, .scale = config_.mlp_down});
  }

 private:
  FalconConfig config_;
  RmsNorm input_norm_;
  Mamba2Mixer mamba_;
  Attention attention_;
  RmsNorm pre_ff_norm_;
  GatedMlp mlp_;
};

float multiplier(const ConfigReader& reader, std::string_view key) {
  return static_cast<float>(reader.number_or(key, 1.0));
}

/// A list of exactly N multipliers; ones where the key is absent.
template <std::size_t N>
std::array<float, N> multipliers(const ConfigReader& reader, std::string_view key) {
  std::array<float, N> all;
  all.fill(1.0F);
  if (!reader.has(key)) return all;
  const std::vector<double> numbers = reader.numbers(key);
  if (numbers.size() != N) {
    reader.fail(key, "has " + std::to_string(numbers.size()) + " numbers, but must have " + std::to_string(N));
  }
  for (std::size_t i = 0; i < N; ++i) all[i] = static_cast<float>(numbers[i]);
  return all;
}

/// `mamba_d_ssm`, or what heads of a stated size make, or `mamba_expand` times the hidden size.
std::int64_t inner_size(const ConfigReader& reader) {
  const bool sized_heads = reader.has("mamba_d_head") && !reader.is_string("mamba_d_head");
  return reader.integer_or("mamba_d_ssm", sized_heads ? kAnyInnerSize : 0, 1);
}

Mamba2Config mamba_config(const ConfigReader& reader, const ModelConfig& config) {
  Mamba2Config mamba = read_mamba2_config(reader, config.hidden_size,
                                          {.heads = "mamba_n_heads",
                                           .head_dim = "mamba_d_head",
                                           .groups = "mamba_n_groups",
                                           .state = "mamba_d_state",
                                           .conv_kernel = "mamba_d_conv",
                                           .chunk_size = "mamba_chunk_size",
                                           .expand = "mamba_expand",
                                           .norm_eps = "rms_norm_eps",
                                           .inner_size = inner_size(reader)});
  read_time_step_limit(reader, mamba);
  mamba.in_proj_bias = reader.boolean_or("mamba_proj_bias", false);
  mamba.out_proj_bias = reader.boolean_or("projectors_bias", false);
  mamba.conv_bias = reader.boolean_or("mamba_conv_bias", true);
  mamba.gated_norm = reader.boolean_or("mamba_rms_norm", false);
  mamba.gate_order = reader.boolean_or("mamba_norm_before_gate", true) ? GateOrder::kNormFirst : GateOrder::kGateFirst;
  mamba.input_multiplier = multiplier(reader, "ssm_in_multiplier");
  mamba.segment_multipliers = multipliers<5>(reader, "ssm_multipliers");
  return mamba;
}

AttentionConfig attention_config(const ConfigReader& reader, const ModelConfig& config) {
  AttentionConfig attention = read_attention_config(reader, config.hidden_size, {.kv_heads = 8});
  attention.rope = read_rope_config(reader, attention.head_dim);
  attention.key_multiplier = multiplier(reader, "key_multiplier");
  return attention;
}

FalconConfig read_falcon_config(const ConfigReader& reader, const ModelConfig& config) {
  const std::array<float, 2> mlp = multipliers<2>(reader, "mlp_multipliers");
  return {.mamba = mamba_config(reader, config),
          .attention = attention_config(reader, config),
          .intermediate_size = reader.integer_or("intermediate_size", 14336, 1),
          .mlp = {.bias = reader.boolean_or("mlp_bias", false), .gate_scale = mlp[0]},
          .norm_eps = static_cast<float>(reader.number_or("rms_norm_eps", 1e-5)),
          .ssm_out = multiplier(reader, "ssm_out_multiplier"),
          .attention_in = multiplier(reader, "attention_in_multiplier"),
          .attention_out = multiplier(reader, "attention_out_multiplier"),
          .mlp_down = mlp[1]};
}

}  // namespace

std::unique_ptr<Model> make_falcon_h1(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  reader.require_value("hidden_act", "silu");
  const FalconConfig falcon = read_falcon_config(reader, config);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    layers.push_back(std::make_unique<FalconLayer>("model.layers." + std::to_string(i), falcon, context));
  }
  CausalLm::Frame frame{.embedding = "model.embed_tokens",
                        .final_norm = "model.final_layernorm",
                        .lm_head = "lm_head",
                        .norm_eps = falcon.norm_eps,
                        .embedding_multiplier = multiplier(reader, "embedding_multiplier"),
                        .logits_multiplier = multiplier(reader, "lm_head_multiplier")};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
