#pragma once

#include "models/backends/linear_attention/linear_attention_backend.h"
#include "models/layers/attention_layer_base.h"
#include "models/layers/layer_output.h"
#include "models/layers/linear.h"
#include "models/layers/rms_norm.h"

namespace krait {

struct LightningAttentionConfig {
  int hidden_size = 0;
  int heads = 0;
  int head_dim = 0;
  int layer = 0;   ///< index among all layers of the model, from 0
  int layers = 0;  ///< of the model
};

/// How fast head `head` forgets: its state is multiplied by exp(-slope) at every token (MiniMax-01, 2025; the slopes of
/// ALiBi, less in later layers).
double lightning_slope(const LightningAttentionConfig& config, int head);

/// Lightning attention of MiniMax-Text-01: silu(qkv_proj x) → the recurrence (the backend's) → out_proj(norm(o) *
/// sigmoid(output_gate x)). No position embedding, no scale.
class LightningAttention final : public MambaBase {
 public:
  LightningAttention(std::string name, const LightningAttentionConfig& config, const LayerContext& context);

  [[nodiscard]] std::string_view mamba_type_name() const override { return mamba_types::kLinearAttention; }
  [[nodiscard]] std::vector<StateTensorSpec> state_tensors() const override;

  void bind_backend(std::size_t spec, const LayerBackend* backend) override;
  void load(WeightLoader& loader);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output);

 private:
  [[nodiscard]] std::int64_t width() const { return std::int64_t{config_.heads} * config_.head_dim; }

  LightningAttentionConfig config_;
  Linear qkv_proj_;
  Linear gate_;
  Linear out_proj_;
  RmsNorm norm_;
  Tensor decay_;
};

}  // namespace krait
