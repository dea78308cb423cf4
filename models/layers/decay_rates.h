#pragma once

#include "kernels/tensor.h"

namespace krait {

// A decay rate is stored as its logarithm and kept as what kernels multiply with, computed once in double so that no
// platform's exp decides its last bit. An undefined tensor (missing in the checkpoint) stays so.

/// x = exp(x), element by element; float32.
void positive_exp(const Tensor& tensor);
/// x = -exp(x).
void negative_exp(const Tensor& tensor);

}  // namespace krait
