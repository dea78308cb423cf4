#pragma once

#include "kernels/operations.h"
#include "models/backends/layer_backend.h"
#include "models/backends/mamba2/mamba2_metadata.h"

namespace krait {

/// One Mamba-2 layer's dimensions and parameters, in the form that the backends read. All counts are this rank's.
struct Mamba2Parameters {
  int heads = 0;
  int head_dim = 0;
  int groups = 1;
  int state_size = 0;
  float dt_min = 0.0F;
  float dt_max = 0.0F;
  TensorView conv_weight;  ///< [kernel, conv channels] float32
  TensorView conv_bias;    ///< [conv channels] float32 or undefined
  TensorView a;            ///< [heads] float32: -exp(A_log)
  TensorView d;            ///< [heads] float32
  TensorView dt_bias;      ///< [heads] float32

  [[nodiscard]] int intermediate_size() const { return heads * head_dim; }
};

/// The activations of one scan: rows of one part (decode or prefill) of the step.
struct Mamba2Activations {
  TensorView x;   ///< [tokens, heads * head_dim] after the convolution
  TensorView b;   ///< [tokens, groups * state]
  TensorView c;   ///< [tokens, groups * state]
  TensorView dt;  ///< [tokens, heads] raw
  TensorView y;   ///< [tokens, heads * head_dim] out
};

/// Convolution and scan of the Mamba-2 mixer. They are two calls, because some models (PLaMo 2) project dt, B and C
/// from what the convolution gives; projections and norms are the layer's. All read state_read and write state_write.
class Mamba2Backend : public MambaBackend {
 public:
  /// out = silu(conv(x)) for all tokens of the step: [T, conv channels] both; they may not overlap.
  virtual void convolve(const BackendContext& context, const Mamba2Metadata& metadata,
                        const Mamba2Parameters& parameters, const StateCacheView& state, const TensorView& x,
                        const TensorView& out) const = 0;
  virtual void prefill(const BackendContext& context, const Mamba2Metadata& metadata,
                       const Mamba2Parameters& parameters, const StateCacheView& state,
                       const Mamba2Activations& activations) const = 0;
  virtual void decode(const BackendContext& context, const Mamba2Metadata& metadata, const Mamba2Parameters& parameters,
                      const StateCacheView& state, const Mamba2Activations& activations) const = 0;
};

}  // namespace krait
