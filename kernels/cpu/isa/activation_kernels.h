#pragma once

#include "kernels/cpu/isa/vector_math.h"
#include "kernels/cpu/kernel_args.h"

namespace krait::cpu {
namespace {

/// Calls fn(act) where act is the activation as a function of a vector, so that a loop inside of `fn` does not branch.
/// The operations have checked that it is a function of one number.
template <typename V, typename Fn>
void with_activation(Activation activation, Fn fn) {
  using F = typename V::F;
  switch (activation) {
    case Activation::kSilu:
      return fn([](F x) { return Math<V>::silu(x); });
    case Activation::kSigmoid:
      return fn([](F x) { return Math<V>::sigmoid(x); });
    case Activation::kGelu:
      return fn([](F x) { return Math<V>::gelu(x); });
    case Activation::kGeluTanh:
      return fn([](F x) { return Math<V>::gelu_tanh(x); });
    case Activation::kRelu2:
      return fn([](F x) { return Math<V>::relu2(x); });
    case Activation::kTanh:
      return fn([](F x) { return Math<V>::tanh(x); });
    default:
      return fn([](F x) { return x; });
  }
}

}  // namespace
}  // namespace krait::cpu
