#pragma once

#include <string>
#include <vector>

#include "models/backends/gdn_attention/gdn_attention_backend.h"
#include "models/layers/attention_layer_base.h"
#include "models/layers/layer_output.h"
#include "models/layers/linear.h"

namespace krait {

class WeightLoader;

/// A gated delta net's dimensions and switches, of the whole layer. Every number comes from the model's config.
struct GatedDeltaNetConfig {
  /// How the checkpoint keeps the projections and the convolution.
  enum class Layout : std::uint8_t {
    /// in_proj_qkvz and in_proj_ba, rows grouped by key head: [q | k | v of its value heads | z of its value heads] and
    /// [b | a] (Qwen3-Next).
    kByKeyHead,
    kMerged,    ///< in_proj_qkv as [q | k | v], in_proj_z, in_proj_b, in_proj_a (Qwen3.5)
    kSeparate,  ///< q_proj, k_proj, v_proj, g_proj, b_proj, a_proj, and a convolution each for q, k and v (OLMo)
  };
  int hidden_size = 0;
  int key_heads = 0;
  int value_heads = 0;
  int key_dim = 0;
  int value_dim = 0;
  int conv_kernel = 4;
  float beta_scale = 1.0F;  ///< 2 where eigenvalues of the state's transition may be negative
  float norm_eps = 1e-6F;   ///< of the gated norm
  Layout layout = Layout::kMerged;
};

/// The gated delta net (Yang, Kautz and Hatamizadeh, 2024): projections → [q | k | v], gate z, beta, decay →
/// convolution and delta rule (the backend's) → RMSNorm of each value head times silu(z) → output projection.
class GatedDeltaNet final : public MambaBase {
 public:
  /// Throws StartupError when the key heads do not divide the value heads.
  GatedDeltaNet(std::string name, const GatedDeltaNetConfig& config, const LayerContext& context);

  [[nodiscard]] std::string_view mamba_type_name() const override { return mamba_types::kGdnAttention; }
  [[nodiscard]] std::vector<StateTensorSpec> state_tensors() const override;

  void bind_backend(std::size_t spec, const LayerBackend* backend) override;
  void load(WeightLoader& loader);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output);

 private:
  [[nodiscard]] std::string tensor(const std::string& suffix) const { return name() + "." + suffix; }
  void load_convolution(WeightLoader& loader);

  GatedDeltaNetConfig config_;
  DeltaRuleParameters parameters_;
  Linear in_proj_;  ///< [q | k | v | z | b | a], whatever the checkpoint's layout
  Linear out_proj_;
  Tensor conv_weight_;
  Tensor a_;
  Tensor dt_bias_;
  Tensor norm_;
};

}  // namespace krait
