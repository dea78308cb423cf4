#pragma once

#include "kernels/operations.h"
#include "models/backends/layer_backend.h"
#include "models/backends/mamba_metadata.h"

namespace krait {

/// One linear attention layer's dimensions and decays. The head count is this rank's.
struct LinearAttentionParameters {
  int heads = 0;
  int head_dim = 0;
  TensorView decay;  ///< [heads] float32: exp(-slope)
};

/// The activations of one step, each [T, heads * head_dim].
struct LinearAttentionActivations {
  TensorView q;
  TensorView k;
  TensorView v;
  TensorView out;
};

/// The recurrence S = decay S + k v^T, o = S^T q, decodes and prefills of a step alike; projections, norm and gate are
/// the layer's. Reads state_read and writes state_write.
class LinearAttentionBackend : public MambaBackend {
 public:
  virtual void forward(const BackendContext& context, const MambaMetadata& metadata,
                       const LinearAttentionParameters& parameters, const StateCacheView& state,
                       const LinearAttentionActivations& activations) const = 0;
};

}  // namespace krait
