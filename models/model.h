#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/config/model_config.h"
#include "models/layers/attention_layer_base.h"

namespace krait {

class WeightLoader;

/// A language model of one architecture on one platform. Construction reads the config only; `load_weights` fills it.
class Model {
 public:
  explicit Model(ModelConfig config) : config_(std::move(config)) {}
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  [[nodiscard]] const ModelConfig& config() const { return config_; }
  /// Every layer that keeps something of the past, in the order of the model.
  [[nodiscard]] virtual std::vector<AttentionLayerBase*> attention_layers() = 0;
  /// `max_positions` bounds what position tables must hold.
  virtual void load_weights(WeightLoader& loader, Platform& platform, int max_positions) = 0;
  /// The hidden states of the step's tokens after the final norm: [T, hidden].
  virtual void forward(ForwardContext& context, std::span<const std::int32_t> ids, const TensorView& hidden) = 0;
  /// Logits of some rows of hidden states: [rows, vocab].
  virtual void compute_logits(ForwardContext& context, const TensorView& hidden, const TensorView& logits) = 0;

 private:
  ModelConfig config_;
};

/// Builds the model of a folder's config.json. Throws StartupError; for an unknown architecture the error lists the
/// known ones.
std::unique_ptr<Model> make_model(const std::string& folder, const LayerContext& context);
/// As above, with `mamba_ssm_dtype` of the config put into the context first: the common way in.
ModelConfig peek_model_config(const std::string& folder);

}  // namespace krait
