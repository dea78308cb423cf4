#pragma once

#include "kernels/operations/activation.h"
#include "kernels/packed_weight.h"
#include "kernels/tensor.h"

namespace krait {

/// y = scale * activation(x W^T + b), or y += that. With `gated` the weight is [gate | up] (packed with
/// PackScheme::gate_up) and the result, half as wide, is scale * activation(gate_scale * gate) * up.
struct Epilogue {
  Activation activation = Activation::kNone;
  bool gated = false;
  float gate_scale = 1.0F;
  float limit = 0.0F;  ///< of kSwigluClamp
  float scale = 1.0F;
  bool accumulate = false;
};

struct LinearArgs {
  const PackedWeight* weight = nullptr;
  TensorView x{};  ///< [T, in_features]
  TensorView y{};  ///< [T, out_features] (half of it when gated)
  Epilogue epilogue{};
};

}  // namespace krait
