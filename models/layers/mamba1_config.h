#pragma once

#include <cstdint>

namespace krait {

/// RMSNorm of dt (before its projection), B and C, each by itself.
enum class Mamba1Norm : std::uint8_t {
  kNone,
  kWeightless,  ///< Falcon Mamba
  kWeighted,    ///< Jamba: `dt_layernorm`, `b_layernorm`, `c_layernorm`
};

/// A Mamba-1 layer's dimensions and switches. Every number comes from the model's config.
struct Mamba1Config {
  int hidden_size = 0;
  int channels = 0;    ///< inner size, expand * hidden
  int state_size = 0;  ///< N, a channel
  int dt_rank = 0;
  int conv_kernel = 4;
  bool proj_bias = false;  ///< of in_proj and out_proj
  bool conv_bias = true;
  Mamba1Norm norm = Mamba1Norm::kNone;
  float norm_eps = 1e-6F;
  /// Equal, contiguous groups of channels; each makes dt, B and C of its own channels alone (Zamba).
  int heads = 1;
  /// Zamba's form on disk: x and z in alternating rows of in_proj, the other parameters stacked by head,
  /// `x_proj_weight` for `x_proj.weight` and so on.
  bool stacked_heads = false;
};

}  // namespace krait
