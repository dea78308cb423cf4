#pragma once

namespace krait {

// A decay rate is stored as its logarithm and kept as what kernels multiply with, computed once in double so that no
// platform's exp decides its last bit.

/// exp(x)
float positive_exp(float logarithm);
/// -exp(x)
float negative_exp(float logarithm);

}  // namespace krait
