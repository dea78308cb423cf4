#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/backends/attention/attention_backend.h"
#include "models/config/rope_config.h"
#include "models/layers/attention_layer_base.h"
#include "models/layers/layer_output.h"
#include "models/layers/linear.h"
#include "models/layers/rms_norm.h"
#include "models/layers/rope_table.h"

namespace krait {

class WeightLoader;

/// A latent attention layer's dimensions and switches, of the whole layer.
struct MlaConfig {
  int hidden_size = 0;
  int heads = 0;
  int q_lora_rank = 0;  ///< 0: q_proj; else q_b_proj(norm(q_a_proj x))
  int kv_lora_rank = 0;
  int nope_dim = 0;   ///< channels of a head's q and k that come from the latent
  int rope_dim = 0;   ///< and those that all heads share
  int value_dim = 0;  ///< of a head
  /// Of q k^T: (nope_dim + rope_dim)^-1/2, times latent_attention_scale_factor(rope) in deepseek_v3 and bailing_hybrid.
  float scale = 1.0F;
  std::optional<RopeConfig> rope{};  ///< over rope_dim channels; nullopt: they do not rotate (kimi_linear)
  bool bias = false;                 ///< of q_a_proj and kv_a_proj_with_mqa
  bool output_bias = false;

  /// Tensor prefixes inside the layer.
  struct Names {
    std::string o = "o_proj";
    std::string gate{};  ///< a projection to one sigmoid gate a head, before o (bailing_hybrid: "g_proj"); empty: none
  };
  Names names{};
};

/// Multi-head latent attention (DeepSeek-V2, 2024) in its absorbed form. With kv_b_proj's rows of head h as W_uk and
/// W_uv, q_nope · (W_uk c) = (W_uk^T q_nope) · c, and sum p (W_uv c) = W_uv (sum p c): the heads' queries move into the
/// latent space, all heads attend to the cached rows [c | k_rope], and W_uv is applied to what they find. Prefill and
/// decode are this one computation.
class MlaAttention final : public AttentionLayerBase {
 public:
  MlaAttention(std::string name, const MlaConfig& config, const LayerContext& context);

  [[nodiscard]] std::vector<CacheSpec> cache_specs() const override;
  [[nodiscard]] const LayerBackend* get_attn_backend(std::size_t /*spec*/) const override { return backend_; }
  /// The rotation of a cached row, whose first channels are the latent.
  [[nodiscard]] const std::optional<RopeConfig>& rope() const { return config_.rope; }

  /// `rope` is a table of `rope()`; null for a layer without position embedding.
  void load(WeightLoader& loader, std::shared_ptr<const RopeTable> rope);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output);

 private:
  [[nodiscard]] int row_dim() const { return config_.kv_lora_rank + config_.rope_dim; }
  /// [T, heads * (nope | rope)].
  [[nodiscard]] TensorView project_queries(ForwardContext& context, const TensorView& x) const;
  /// [T, heads * (latent | rope)].
  [[nodiscard]] TensorView latent_queries(ForwardContext& context, const TensorView& q) const;
  /// [T, latent | rope], the latent normed.
  [[nodiscard]] TensorView project_keys(ForwardContext& context, const TensorView& x) const;
  /// [T, heads * value_dim] of [T, heads * latent].
  [[nodiscard]] TensorView head_values(ForwardContext& context, const TensorView& found) const;

  MlaConfig config_;
  DType cache_dtype_;
  int heads_;       ///< on this rank
  int first_head_;  ///< of them
  std::optional<Linear> q_a_proj_;
  std::optional<RmsNorm> q_a_norm_;
  Linear q_proj_;  ///< q_b_proj where there is a q_a_proj
  Linear kv_a_proj_;
  RmsNorm kv_a_norm_;
  std::vector<PackedWeight> to_latent_;    ///< W_uk^T [latent, nope], one a head
  std::vector<PackedWeight> from_latent_;  ///< W_uv [value, latent], one a head
  std::optional<Linear> gate_;
  Linear o_proj_;
  const AttentionBackend* backend_;
  std::shared_ptr<const RopeTable> rope_;
};

}  // namespace krait
