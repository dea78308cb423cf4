#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/mamba2_config_reader.h"
#include "models/layers/mamba2_mixer.h"

namespace krait {
namespace {

/// h += mixer(norm(h)); nothing else.
class Mamba2Layer final : public DecoderLayer {
 public:
  Mamba2Layer(const std::string& prefix, const Mamba2Config& config, const LayerContext& context)
      : norm_(prefix + ".norm", config.hidden_size, config.norm_eps), mixer_(prefix + ".mixer", config, context) {}

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override { return {&mixer_}; }

  void load(WeightLoader& loader, RopeTables& /*ropes*/) override {
    norm_.load(loader);
    mixer_.load(loader);
  }

  void forward(ForwardContext& context, const ResidualStream& stream) override {
    const Workspace::Scope scope(context.workspace);
    const TensorView& hidden = stream.hidden;
    const TensorView normed = context.workspace.matrix(hidden.rows(), hidden.columns());
    norm_.forward(context.ops, hidden, normed);
    mixer_.forward(context, normed, {.into = hidden});
  }

 private:
  RmsNorm norm_;
  Mamba2Mixer mixer_;
};

}  // namespace

std::unique_ptr<Model> make_mamba2(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  reader.require_value("hidden_act", "silu");
  Mamba2Config mamba = read_mamba2_config(reader, config.hidden_size,
                                          {.heads = "num_heads",
                                           .head_dim = "head_dim",
                                           .groups = "n_groups",
                                           .state = "state_size",
                                           .conv_kernel = "conv_kernel",
                                           .chunk_size = "chunk_size",
                                           .expand = "expand",
                                           .norm_eps = "layer_norm_epsilon",
                                           .default_head_dim = 64,
                                           .default_groups = 8,
                                           .default_state = 128});
  read_time_step_limit(reader, mamba);
  mamba.in_proj_bias = reader.boolean_or("use_bias", false);
  mamba.out_proj_bias = mamba.in_proj_bias;
  mamba.conv_bias = reader.boolean_or("use_conv_bias", true);
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    layers.push_back(std::make_unique<Mamba2Layer>("backbone.layers." + std::to_string(i), mamba, context));
  }
  CausalLm::Frame frame{.embedding = "backbone.embeddings",
                        .old_embedding = "backbone.embedding",
                        .final_norm = "backbone.norm_f",
                        .lm_head = "lm_head",
                        .norm_eps = mamba.norm_eps};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
