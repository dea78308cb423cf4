#pragma once

#include "models/backends/mamba2/mamba2_backend.h"
#include "models/layers/attention_layer_base.h"
#include "models/layers/layer_output.h"
#include "models/layers/linear.h"

namespace krait {

class WeightLoader;

/// A Mamba-2 layer's dimensions and switches, of the whole layer. Every number comes from the model's config.
struct Mamba2Config {
  int hidden_size = 0;
  int heads = 0;
  int head_dim = 0;
  int groups = 1;
  int state_size = 0;
  int conv_kernel = 4;
  int chunk_size = 0;  ///< 0: the config states none, which start-up refuses
  bool proj_bias = false;
  bool conv_bias = true;
  float dt_min = 0.0F;
  float dt_max = 0.0F;  ///< may be infinity
  float norm_eps = 1e-5F;
  GateOrder gate_order = GateOrder::kGateFirst;
};

/// The Mamba-2 mixer (Dao and Gu, 2024): in_proj → [z | x | B | C | dt] → convolution and scan (the backend's) → gated
/// norm → out_proj.
class Mamba2Mixer final : public MambaBase {
 public:
  Mamba2Mixer(std::string name, const Mamba2Config& config, const LayerContext& context);

  [[nodiscard]] std::string_view mamba_type_name() const override { return mamba_types::kMamba2; }
  [[nodiscard]] std::vector<StateTensorSpec> state_tensors() const override;
  [[nodiscard]] int chunk_size() const override { return config_.chunk_size; }

  void bind_backend(std::size_t spec, const LayerBackend* backend) override;
  void load(WeightLoader& loader);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output);

 private:
  void scan(ForwardContext& context, const TensorView& projected, const TensorView& y);

  Mamba2Config config_;
  Linear in_proj_;
  Linear out_proj_;
  Mamba2Parameters parameters_;
  Tensor conv_weight_;
  Tensor conv_bias_;
  Tensor a_;
  Tensor d_;
  Tensor dt_bias_;
  Tensor norm_;
};

}  // namespace krait
