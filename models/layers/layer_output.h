#pragma once

#include "kernels/tensor.h"

namespace krait {

/// Where a layer leaves its result: into += scale * result, or into = scale * result. The residual stream of a pre-norm
/// block is added to in the last projection's epilogue; no elementwise operation follows a layer.
struct LayerOutput {
  TensorView into;  ///< [T, hidden]
  float scale = 1.0F;
  bool accumulate = true;
};

}  // namespace krait
