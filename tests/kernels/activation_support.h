#pragma once

#include <cmath>
#include <vector>

#include "kernels/operations/activation.h"

namespace krait::test {

/// The activations of one number in double.
inline double exact_activation(Activation activation, double x) {
  switch (activation) {
    case Activation::kSilu:
      return x / (1.0 + std::exp(-x));
    case Activation::kSigmoid:
      return 1.0 / (1.0 + std::exp(-x));
    case Activation::kGelu:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::kGeluTanh:
      return x / (1.0 + std::exp(-2.0 * std::sqrt(2.0 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case Activation::kRelu2:
      return x < 0.0 ? 0.0 : x * x;
    case Activation::kTanh:
      return std::tanh(x);
    default:
      return x;
  }
}

inline const std::vector<Activation>& activations() {
  static const std::vector<Activation> all{Activation::kNone, Activation::kSilu,     Activation::kSigmoid,
                                           Activation::kGelu, Activation::kGeluTanh, Activation::kRelu2,
                                           Activation::kTanh};
  return all;
}

}  // namespace krait::test
