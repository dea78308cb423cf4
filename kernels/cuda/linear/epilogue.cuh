#pragma once

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/linear/epilogue.h"

namespace krait::cuda {

/// One result of a product from its sums with their biases: `up` only where gated.
__device__ __forceinline__ void store_result(const EpilogueForm& form, float sum, float up, float& y) {
  const float result = form.gated ? activate_gated(form.activation, form.gate_scale * sum, up, form.limit)
                                  : activate(form.activation, sum);
  y = form.accumulate ? y + form.scale * result : form.scale * result;
}

}  // namespace krait::cuda
