#pragma once

#include <cstdint>

namespace krait {

/// A function of one number, applied to every element.
enum class Activation : std::uint8_t {
  kNone,
  kSilu,      ///< x sigmoid(x)
  kSigmoid,   ///< 1 / (1 + exp(-x))
  kGelu,      ///< x (1 + erf(x / sqrt(2))) / 2
  kGeluTanh,  ///< x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
  kRelu2,     ///< max(x, 0)^2
  kTanh,
  kSwigluClamp,  ///< gated only (gpt-oss): g sigmoid(1.702 g) (clamp(up, -limit, limit) + 1), g = min(gate, limit)
};

}  // namespace krait
