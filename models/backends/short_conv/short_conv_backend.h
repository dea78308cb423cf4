#pragma once

#include <span>

#include "kernels/operations.h"
#include "models/backends/layer_backend.h"
#include "models/backends/mamba_metadata.h"

namespace krait {

/// A depthwise causal convolution over time, without activation.
struct ShortConvParameters {
  TensorView weight;     ///< [kernel, channels] float32
  TensorView bias{};     ///< [channels] float32 or undefined
  TensorView initial{};  ///< [channels] float32, the inputs before a sequence's start; undefined: zeros
};

/// One whose groups of channels mix, without activation.
struct GroupedShortConvParameters {
  std::span<const PackedWeight> weights;  ///< [groups * kernel], tap fastest, each [D, D] with D = channels / groups
  int groups = 1;
  int kernel = 1;
  TensorView bias{};     ///< [channels] float32 or undefined
  TensorView initial{};  ///< [channels] float32, the inputs before a sequence's start; undefined: zeros
};

/// Convolutions over the few last tokens, decodes and prefills of a step alike; gates and projections are the layer's.
/// `x` and `out` are [T, channels] and do not overlap; `state.conv` keeps the last kernel - 1 inputs. Reads state_read
/// and writes state_write.
class ShortConvBackend : public MambaBackend {
 public:
  virtual void convolve(const BackendContext& context, const MambaMetadata& metadata,
                        const ShortConvParameters& parameters, const StateCacheView& state, const TensorView& x,
                        const TensorView& out) const = 0;
  virtual void convolve_groups(const BackendContext& context, const MambaMetadata& metadata,
                               const GroupedShortConvParameters& parameters, const StateCacheView& state,
                               const TensorView& x, const TensorView& out) const = 0;
};

}  // namespace krait
