#pragma once

#include <array>

#include "models/layers/layer_output.h"
#include "models/layers/linear.h"
#include "models/layers/mamba2_base.h"

namespace krait {

/// A Mamba-2 mixer's dimensions and switches, of the whole layer. Every number comes from the model's config.
struct Mamba2Config : Mamba2Dimensions {
  int hidden_size = 0;
  bool in_proj_bias = false;
  bool out_proj_bias = false;
  bool gated_norm = true;  ///< false: y * silu(z), and no norm tensor
  float norm_eps = 1e-5F;
  GateOrder gate_order = GateOrder::kGateFirst;
  float input_multiplier = 1.0F;  ///< of the layer's input
  /// Of in_proj's outputs, bias included, in the order z, x, B, C, dt (Falcon-H1).
  std::array<float, 5> segment_multipliers{1.0F, 1.0F, 1.0F, 1.0F, 1.0F};
};

/// The Mamba-2 mixer (Dao and Gu, 2024): in_proj → [z | x | B | C | dt] → convolution and scan (the backend's) → gated
/// norm (or only the gate) → out_proj.
class Mamba2Mixer final : public Mamba2Base {
 public:
  Mamba2Mixer(std::string name, const Mamba2Config& config, const LayerContext& context);

  void load(WeightLoader& loader);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output);

 private:
  void load_multipliers(WeightLoader& loader);
  /// [T, z | x | B | C | dt] with bias and multipliers. The memory is the workspace's.
  TensorView project(ForwardContext& context, const TensorView& x) const;

  Mamba2Config config_;
  bool scaled_;  ///< some multiplier is not 1: in_proj's bias is then added after its product
  Linear in_proj_;
  Linear out_proj_;
  Tensor norm_;
  Tensor multipliers_;   ///< [in_proj outputs], when scaled
  Tensor in_proj_bias_;  ///< [in_proj outputs], when scaled and biased
};

}  // namespace krait
