#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/config/config_reader.h"
#include "models/layers/gated_delta_net.h"
#include "models/model.h"

namespace krait {

/// In what the hybrids of Qwen3-Next and Qwen3.5 differ.
struct QwenHybridOptions {
  std::string prefix = "model";  ///< of all tensors but `lm_head`
  GatedDeltaNetConfig::Layout layout = GatedDeltaNetConfig::Layout::kMerged;
  std::vector<bool> sparse;  ///< [layers] mixture of experts or dense MLP
  int experts = 0;
  int experts_per_token = 0;
  bool renormalize = true;  ///< the chosen experts' weights
};

/// h += mixer(norm(h)); h += ffn(norm(h)), with norms that are stored as w - 1. Mixers are gated delta nets and gated
/// attention with norms of q and k and a partial rotation; an MLP, or experts and a gated shared expert. Throws
/// StartupError.
std::unique_ptr<Model> make_qwen_hybrid(const ConfigReader& reader, ModelConfig config, const LayerContext& context,
                                        const QwenHybridOptions& options);

}  // namespace krait
