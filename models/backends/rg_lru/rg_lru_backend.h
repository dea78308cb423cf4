#pragma once

#include <string_view>

#include "kernels/operations.h"
#include "models/backends/layer_backend.h"
#include "models/backends/mamba_metadata.h"

namespace krait {

namespace mamba_types {
inline constexpr std::string_view kRgLru = "rg_lru";
}  // namespace mamba_types

/// One recurrent block's parameters, in the form that the backends read.
struct RgLruParameters {
  TensorView conv_weight;    ///< [kernel, channels] float32
  TensorView conv_bias;      ///< [channels] float32
  TensorView a_coefficient;  ///< [channels] float32: -8 softplus(recurrent_param)
};

/// The activations of one step.
struct RgLruActivations {
  TensorView x;               ///< [T, channels] after the convolution
  TensorView input_gate;      ///< [T, channels] raw
  TensorView recurrent_gate;  ///< [T, channels] raw
  TensorView y;               ///< [T, channels] out
};

/// Convolution and recurrence of Griffin's recurrent block (De et al., 2024). They are two calls, because the gates are
/// projections of what the convolution gives, and projections are the layer's. Both compute all tokens of the step,
/// read state_read and write state_write.
class RgLruBackend : public MambaBackend {
 public:
  /// out = conv(x), [T, channels] both; they may not overlap.
  virtual void convolve(const BackendContext& context, const MambaMetadata& metadata, const RgLruParameters& parameters,
                        const StateCacheView& state, const TensorView& x, const TensorView& out) const = 0;
  virtual void recur(const BackendContext& context, const MambaMetadata& metadata, const RgLruParameters& parameters,
                     const StateCacheView& state, const RgLruActivations& activations) const = 0;
};

}  // namespace krait
