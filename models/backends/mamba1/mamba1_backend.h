#pragma once

#include "kernels/operations.h"
#include "models/backends/layer_backend.h"
#include "models/backends/mamba_metadata.h"

namespace krait {

/// One Mamba-1 layer's dimensions and parameters, in the form that the backends read. All counts are this rank's.
struct Mamba1Parameters {
  int channels = 0;
  int groups = 1;  ///< equal, contiguous groups of channels, each with its own B and C (Zamba's heads)
  int state_size = 0;
  TensorView conv_weight;  ///< [kernel, channels] float32
  TensorView conv_bias;    ///< [channels] float32 or undefined
  TensorView a;            ///< [channels, state] float32: -exp(A_log)
  TensorView d;            ///< [channels] float32
  TensorView dt_bias;      ///< [channels] float32
};

/// The activations of one scan: rows of one part (decode or prefill) of the step.
struct Mamba1Activations {
  TensorView x;   ///< [tokens, channels] after the convolution
  TensorView dt;  ///< [tokens, channels] raw
  TensorView b;   ///< [tokens, groups * state]
  TensorView c;   ///< [tokens, groups * state]
  TensorView y;   ///< [tokens, channels] out
};

/// Convolution and scan of the Mamba-1 mixer. They are two calls, because dt, B and C are projections of what the
/// convolution gives, and projections and norms are the layer's. All read state_read and write state_write.
class Mamba1Backend : public MambaBackend {
 public:
  /// out = silu(conv(x)) for all tokens of the step: [T, channels] both; they may not overlap.
  virtual void convolve(const BackendContext& context, const MambaMetadata& metadata,
                        const Mamba1Parameters& parameters, const StateCacheView& state, const TensorView& x,
                        const TensorView& out) const = 0;
  virtual void prefill(const BackendContext& context, const MambaMetadata& metadata, const Mamba1Parameters& parameters,
                       const StateCacheView& state, const Mamba1Activations& activations) const = 0;
  virtual void decode(const BackendContext& context, const MambaMetadata& metadata, const Mamba1Parameters& parameters,
                      const StateCacheView& state, const Mamba1Activations& activations) const = 0;
};

}  // namespace krait
