#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/backends/kda_attention/kda_attention_backend.h"
#include "models/layers/attention_layer_base.h"
#include "models/layers/layer_output.h"
#include "models/layers/linear.h"

namespace krait {

class WeightLoader;

/// A Kimi delta attention's dimensions and switches, of the whole layer. Keys and values have one head size.
struct KimiDeltaAttentionConfig {
  int hidden_size = 0;
  int heads = 0;
  int head_dim = 0;
  int conv_kernel = 4;
  float norm_eps = 1e-6F;  ///< of the gated norm
  /// Decay and gate are f_b_proj(f_a_proj x) and g_b_proj(g_a_proj x), through head_dim channels, and A_log is stored
  /// as [1, 1, heads, 1] (Kimi Linear); else f_proj x and g_proj x, and [heads] (Ling).
  bool low_rank = true;
  DeltaDecay decay_kind = DeltaDecay::kSoftplus;
  float lower_bound = 0.0F;       ///< of DeltaDecay::kBoundedSigmoid
  std::string output = "o_proj";  ///< tensor prefix of the output projection inside the layer
};

/// Kimi delta attention (Kimi Linear, 2025): projections → [q | k | v], beta, decay of each key channel, gate z →
/// convolution and delta rule (the backend's) → RMSNorm of each head times sigmoid(z) → output projection.
class KimiDeltaAttention final : public MambaBase {
 public:
  KimiDeltaAttention(std::string name, const KimiDeltaAttentionConfig& config, const LayerContext& context);

  [[nodiscard]] std::string_view mamba_type_name() const override { return mamba_types::kKdaAttention; }
  [[nodiscard]] std::vector<StateTensorSpec> state_tensors() const override;

  void bind_backend(std::size_t spec, const LayerBackend* backend) override;
  void load(WeightLoader& loader);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output);

 private:
  [[nodiscard]] std::string tensor(const std::string& suffix) const { return name() + "." + suffix; }
  /// Columns of q, of k, of v, of the decay and of the gate.
  [[nodiscard]] std::int64_t width() const { return std::int64_t{config_.heads} * config_.head_dim; }
  [[nodiscard]] static TensorView widen(ForwardContext& context, const std::optional<Linear>& second,
                                        const TensorView& first);

  KimiDeltaAttentionConfig config_;
  DeltaRuleParameters parameters_;
  Linear in_proj_;                  ///< [q | k | v | b | f | g], the last two narrow where the layer is low_rank
  std::optional<Linear> f_b_proj_;  ///< with low_rank
  std::optional<Linear> g_b_proj_;
  Linear out_proj_;
  Tensor conv_weight_;
  Tensor a_;
  Tensor dt_bias_;
  Tensor norm_;
};

}  // namespace krait
