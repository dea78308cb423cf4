#pragma once

#include "models/backends/short_conv/short_conv_backend.h"
#include "models/layers/attention_layer_base.h"
#include "models/layers/layer_output.h"
#include "models/layers/linear.h"

namespace krait {

class WeightLoader;

struct ShortConvConfig {
  int hidden_size = 0;
  int conv_kernel = 3;
  bool bias = false;  ///< of both projections and of the convolution
};

/// The gated short convolution of LFM2: in_proj → [B | C | x] → out_proj(C * conv(B * x)). The convolution is the
/// backend's.
class ShortConvMixer final : public MambaBase {
 public:
  ShortConvMixer(std::string name, const ShortConvConfig& config, const LayerContext& context);

  [[nodiscard]] std::string_view mamba_type_name() const override { return mamba_types::kShortConv; }
  [[nodiscard]] std::vector<StateTensorSpec> state_tensors() const override;

  void bind_backend(std::size_t spec, const LayerBackend* backend) override;
  void load(WeightLoader& loader);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output);

 private:
  ShortConvConfig config_;
  Linear in_proj_;
  Linear out_proj_;
  Tensor conv_weight_;
  Tensor conv_bias_;
};

}  // namespace krait
