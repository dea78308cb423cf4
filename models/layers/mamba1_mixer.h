#pragma once

#include <optional>
#include <vector>

#include "models/backends/mamba1/mamba1_backend.h"
#include "models/layers/attention_layer_base.h"
#include "models/layers/layer_output.h"
#include "models/layers/linear.h"
#include "models/layers/mamba1_input_projection.h"

namespace krait {

class WeightLoader;

/// The Mamba-1 mixer (Gu and Dao, 2023): in_proj → [x | z] → convolution of x (the backend's) → dt, B and C of it →
/// scan (the backend's) → y silu(z) → out_proj.
class Mamba1Mixer final : public MambaBase {
 public:
  /// Throws StartupError when the heads do not divide the channels.
  Mamba1Mixer(std::string name, const Mamba1Config& config, const LayerContext& context);

  [[nodiscard]] std::string_view mamba_type_name() const override { return mamba_types::kMamba1; }
  [[nodiscard]] std::vector<StateTensorSpec> state_tensors() const override;

  void bind_backend(std::size_t spec, const LayerBackend* backend) override;
  void load(WeightLoader& loader);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output);

 private:
  void scan(ForwardContext& context, const Mamba1Activations& step) const;

  Mamba1Config config_;
  Linear in_proj_;
  Mamba1InputProjection input_projection_;
  Linear out_proj_;
  Mamba1Parameters parameters_;
  Tensor conv_weight_;
  Tensor conv_bias_;
  Tensor a_;
  Tensor d_;
  Tensor dt_bias_;
};

}  // namespace krait
