#pragma once

#include "kernels/operations.h"
#include "models/backends/layer_backend.h"
#include "models/backends/mamba_metadata.h"

namespace krait {

/// One delta-rule layer's dimensions and parameters, in the form that the backends of gated delta nets and of Kimi
/// delta attention read. All counts are this rank's.
struct DeltaRuleParameters {
  int key_heads = 0;
  int value_heads = 0;
  int key_dim = 0;
  int value_dim = 0;
  bool decay_per_channel = false;  ///< a decay for each key channel (Kimi), else one a value head
  DeltaDecay decay_kind = DeltaDecay::kSoftplus;
  float lower_bound = 0.0F;  ///< of DeltaDecay::kBoundedSigmoid
  float beta_scale = 1.0F;
  TensorView conv_weight;  ///< [kernel, conv_dim] float32
  TensorView a;            ///< [value_heads] float32, see DeltaDecay
  TensorView decay_bias;   ///< [value_heads], or [value_heads * key_dim] with decay_per_channel; float32

  /// Columns of q and of k.
  [[nodiscard]] int key_size() const { return key_heads * key_dim; }
  [[nodiscard]] int value_size() const { return value_heads * value_dim; }
  [[nodiscard]] int conv_dim() const { return 2 * key_size() + value_size(); }
};

/// The activations of one step, decodes and prefills.
struct DeltaRuleActivations {
  TensorView qkv;    ///< [T, conv_dim], q | k | v before the convolution
  TensorView decay;  ///< [T, value_heads], or [T, value_heads * key_dim] with decay_per_channel; raw
  TensorView beta;   ///< [T, value_heads] raw
  TensorView out;    ///< [T, value_heads * value_dim]
};

/// Convolution and delta rule token by token over the whole step: exact under any cut of a prompt.
void run_delta_rule(const BackendContext& context, const MambaMetadata& metadata, const DeltaRuleParameters& parameters,
                    const StateCacheView& state, const DeltaRuleActivations& activations);

}  // namespace krait
