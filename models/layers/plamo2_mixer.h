#pragma once

#include "models/layers/layer_output.h"
#include "models/layers/linear.h"
#include "models/layers/mamba2_base.h"
#include "models/layers/rms_norm.h"

namespace krait {

/// A PLaMo 2 mixer's dimensions, of the whole layer.
struct Plamo2MixerConfig : Mamba2Dimensions {
  int hidden_size = 0;
  int dt_rank = 0;
  float norm_eps = 1e-6F;
};

/// PLaMo 2's Mamba (Preferred Networks, 2025): the scan of Mamba-2 with the projections of Mamba-1.
///   [z | x] = in_proj, head by head; x = silu(conv(x)); [B | C | r] = bcdt_proj(x), each with its RMSNorm;
///   dt = dt_proj(r); out_proj(scan * silu(z)). No biases but dt_bias.
class Plamo2Mixer final : public Mamba2Base {
 public:
  Plamo2Mixer(std::string name, const Plamo2MixerConfig& config, const LayerContext& context);

  void load(WeightLoader& loader);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output);

 private:
  Linear in_proj_;    ///< [z | x] in order
  Linear bcdt_proj_;  ///< [B | C | r]
  Linear dt_proj_;
  Linear out_proj_;
  RmsNorm b_norm_;
  RmsNorm c_norm_;
  RmsNorm dt_norm_;
};

}  // namespace krait
