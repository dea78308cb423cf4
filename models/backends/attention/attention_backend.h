#pragma once

#include "kernels/kernel_library.h"
#include "kernels/operations.h"
#include "models/backends/attention/attention_metadata.h"
#include "models/backends/layer_backend.h"

namespace krait {

/// The activations and switches of one attention layer's call, over the whole step.
struct AttentionActivations {
  TensorView q;    ///< [T, heads * head_dim], changed in place
  TensorView k;    ///< [T, kv_heads * head_dim], changed in place
  TensorView v;    ///< [T, kv_heads * value_dim]; undefined where V is a part of K
  TensorView out;  ///< [T, heads * value_dim]
};

struct AttentionParameters {
  float scale = 1.0F;
  int sliding_window = 0;
  RopeView rope{};
  TensorView q_norm{};  ///< [head_dim] float32 or undefined: no norm
  TensorView k_norm{};
  float norm_eps = 1e-6F;
  float logits_soft_cap = 0.0F;  ///< 0: none
  TensorView sinks{};            ///< [heads] float32 or undefined
};

/// Rotation, KV write and softmax attention over pages; projections are the layer's.
class AttentionBackend : public LayerBackend {
 public:
  virtual void forward(const BackendContext& context, const AttentionMetadata& metadata,
                       const AttentionParameters& parameters, const KvCacheView& cache,
                       const AttentionActivations& activations) const = 0;
};

/// The platform's operations, with the kernels of `library`: "paged_attention" with our own, else "flashinfer".
const AttentionBackend& paged_attention_backend(KernelLibrary library);

}  // namespace krait
