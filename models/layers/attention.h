#pragma once

#include <memory>
#include <optional>

#include "models/backends/attention/attention_backend.h"
#include "models/config/model_config.h"
#include "models/layers/attention_layer_base.h"
#include "models/layers/layer_output.h"
#include "models/layers/linear.h"
#include "models/layers/rope_table.h"

namespace krait {

class WeightLoader;

/// An attention layer's dimensions and switches, of the whole layer.
struct AttentionConfig {
  int hidden_size = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  float scale = 1.0F;      ///< of q k^T
  int sliding_window = 0;  ///< 0: full attention
  bool bias = false;       ///< of q, k and v
  bool output_bias = false;
  std::optional<RopeConfig> rope;  ///< nullopt: no position embedding
};

/// Multi-head attention with grouped keys and values (MHA, GQA, MQA): q|k|v projection → rotation, KV write, softmax
/// (the backend's) → output projection.
class Attention final : public AttentionLayerBase {
 public:
  Attention(std::string name, const AttentionConfig& config, const LayerContext& context);

  [[nodiscard]] std::vector<CacheSpec> cache_specs() const override;
  [[nodiscard]] const LayerBackend* get_attn_backend() const override { return &paged_attention_backend(); }
  [[nodiscard]] const std::optional<RopeConfig>& rope() const { return config_.rope; }

  /// `rope` is shared with other layers; null for a layer without position embedding.
  void load(WeightLoader& loader, std::shared_ptr<const RopeTable> rope);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output);

 private:
  AttentionConfig config_;
  DType cache_dtype_;
  int heads_;     ///< on this rank
  int kv_heads_;  ///< on this rank
  Linear qkv_proj_;
  Linear o_proj_;
  std::shared_ptr<const RopeTable> rope_;
};

}  // namespace krait
