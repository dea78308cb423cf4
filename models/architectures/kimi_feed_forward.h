#pragma once

#include <string>
#include <vector>

#include "models/architectures/sublayer.h"
#include "models/config/config_reader.h"
#include "models/config/model_config.h"
#include "models/layers/mlp.h"
#include "models/layers/sparse_moe.h"

namespace krait {

/// What follows the mixer in kimi_linear and bailing_hybrid: a dense MLP in the first layers; in the others experts
/// that are chosen by biased sigmoid scores within groups (DeepSeek-V3, 2024, sec. 2.1.2), and shared experts as one
/// MLP.
class KimiFeedForward {
 public:
  /// Tensor prefixes inside a layer.
  struct Names {
    std::string moe = "mlp";         ///< of a layer with experts; a dense one's is "mlp"
    std::string gate = "gate_proj";  ///< of one expert
    std::string up = "up_proj";
    std::string down = "down_proj";
    std::string selection_bias{};  ///< after "<moe>.gate."
  };
  /// Throws StartupError.
  KimiFeedForward(const ConfigReader& reader, const ModelConfig& config, const LayerContext& context, Names names);

  /// Of layer `index`, whose tensors begin with `prefix`.
  [[nodiscard]] std::unique_ptr<Sublayer> layer(const std::string& prefix, int index) const;

 private:
  [[nodiscard]] GatedMlp mlp(const std::string& prefix, std::int64_t width) const;
  [[nodiscard]] SparseMoe moe(const std::string& prefix) const;

  Names names_;
  std::int64_t hidden_;
  std::vector<bool> sparse_;  ///< [layers]
  std::int64_t dense_width_ = 0;
  std::int64_t shared_width_ = 0;  ///< of all shared experts together; 0: none
  Experts::Config experts_;
  RouterOptions router_;
  const LayerContext& context_;
};

}  // namespace krait
