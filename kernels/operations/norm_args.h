#pragma once

#include <cstdint>

#include "kernels/operations/activation.h"
#include "kernels/tensor.h"

namespace krait {

/// residual += add_scale * add (when `add` is given); out = weight * residual / sqrt(mean(residual^2) + eps).
/// Zero-centred norms have had 1 added to their weight at load.
struct AddRmsNormArgs {
  TensorView residual{};  ///< [T, hidden]; written only when `add` is given
  TensorView add{};       ///< [T, hidden] or undefined
  float add_scale = 1.0F;
  TensorView weight{};  ///< [hidden] float32 or undefined: ones
  float eps = 1e-6F;
  TensorView out{};  ///< [T, hidden]
};

enum class GateOrder : std::uint8_t {
  kGateFirst,  ///< weight * groupnorm(y * act(z)): Mamba-2 families
  kNormFirst,  ///< weight * groupnorm(y) * act(z)
};

/// Gated RMSNorm over `groups` equal groups of channels, each with its own mean.
struct GatedRmsNormArgs {
  TensorView y{};       ///< [T, channels]
  TensorView z{};       ///< [T, channels]
  TensorView weight{};  ///< float32 [channels], or [channels / groups] shared by the groups; undefined: only y * act(z)
  int groups = 1;
  float eps = 1e-6F;
  GateOrder order = GateOrder::kGateFirst;
  TensorView out{};                           ///< [T, channels]
  Activation activation = Activation::kSilu;  ///< act: kSilu or kSigmoid
};

}  // namespace krait
