#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/mamba1_config_reader.h"
#include "models/layers/mamba1_mixer.h"

namespace krait {
namespace {

/// h += mixer(norm(h)); nothing else.
class MambaLayer final : public DecoderLayer {
 public:
  MambaLayer(const std::string& prefix, const Mamba1Config& config, float norm_eps, const LayerContext& context)
      : norm_(prefix + ".norm", config.hidden_size, norm_eps), mixer_(prefix + ".mixer", config, context) {}

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
  Mamba1Mixer mixer_;
};

Mamba1Config mixer_config(const ConfigReader& reader, const ModelConfig& config) {
  reader.require_value("hidden_act", "silu");
  return read_mamba1_config(reader, config.hidden_size,
                            {.state = "state_size",
                             .conv_kernel = "conv_kernel",
                             .expand = "expand",
                             .dt_rank = "time_step_rank",
                             .conv_bias = "use_conv_bias",
                             .proj_bias = "use_bias",
                             .channels = "intermediate_size"});
}

std::unique_ptr<Model> make(const ConfigReader& reader, ModelConfig config, const Mamba1Config& mixer,
                            const LayerContext& context) {
  const auto norm_eps = static_cast<float>(reader.number_or("layer_norm_epsilon", 1e-5));
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    layers.push_back(std::make_unique<MambaLayer>("backbone.layers." + std::to_string(i), mixer, norm_eps, context));
  }
  CausalLm::Frame frame{.embedding = "backbone.embeddings",
                        .old_embedding = "backbone.embedding",
                        .final_norm = "backbone.norm_f",
                        .lm_head = "lm_head",
                        .norm_eps = norm_eps};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace

std::unique_ptr<Model> make_mamba(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  const Mamba1Config mixer = mixer_config(reader, config);
  return make(reader, std::move(config), mixer, context);
}

std::unique_ptr<Model> make_falcon_mamba(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  Mamba1Config mixer = mixer_config(reader, config);
  mixer.norm = Mamba1Norm::kWeightless;
  mixer.norm_eps = static_cast<float>(reader.number_or("mixer_rms_eps", 1e-6));
  return make(reader, std::move(config), mixer, context);
}

}  // namespace krait
