#pragma once

#include "kernels/cpu/isa/convert.h"
#include "kernels/cpu/isa/vector_math.h"

/// RMS norms. The sum of squares runs through one vector accumulator and one fixed tree; mean, root and division are
/// single float32 operations, which every processor rounds alike.
namespace krait::cpu {
namespace {

/// 1 / sqrt(mean(x^2) + eps).
template <typename V>
float inverse_rms(const float* x, Index n, float eps) {
  auto sum = V::zero();
  for (Index i = 0; i < n; i += kLanes) {
    const auto value = load<V>(x + i, lanes_left(i, n));
    sum = V::fma(value, value, sum);
  }
  const float mean = V::reduce_add(sum) / static_cast<float>(n);
  return 1.0F / __builtin_sqrtf(mean + eps);
}

/// out = x * factor * weight, in this order; no weight: ones.
template <typename V>
void scale_by_weight(const float* x, float factor, const float* weight, float* out, Index n) {
  const auto f = V::set1(factor);
  for (Index i = 0; i < n; i += kLanes) {
    const int lanes = lanes_left(i, n);
    auto scaled = V::mul(load<V>(x + i, lanes), f);
    if (weight != nullptr) scaled = V::mul(scaled, load<V>(weight + i, lanes));
    store<V>(out + i, scaled, lanes);
  }
}

template <typename V>
void add_rms_norm(const AddRmsNormKernelArgs& args, Index begin, Index end) {
  for (Index t = begin; t < end; ++t) {
    float* residual = args.residual.data + t * args.residual.stride;
    if (args.add.data != nullptr) {
      const float* add = args.add.data + t * args.add.stride;
      for (Index i = 0; i < args.hidden; i += kLanes) {
        const int n = lanes_left(i, args.hidden);
        store<V>(residual + i, V::fma(V::set1(args.add_scale), load<V>(add + i, n), load<V>(residual + i, n)), n);
      }
    }
    const float factor = inverse_rms<V>(residual, args.hidden, args.eps);
    scale_by_weight<V>(residual, factor, args.weight, args.out.data + t * args.out.stride, args.hidden);
  }
}

/// out = y * act(z); out may be y.
template <typename V>
void gate_row(Activation activation, const float* y, const float* z, float* out, Index n) {
  const auto run = [&](auto act) {
    for (Index i = 0; i < n; i += kLanes) {
      const int lanes = lanes_left(i, n);
      store<V>(out + i, V::mul(load<V>(y + i, lanes), act(load<V>(z + i, lanes))), lanes);
    }
  };
  if (activation == Activation::kSigmoid) {
    run([](typename V::F x) { return Math<V>::sigmoid(x); });
  } else {
    run([](typename V::F x) { return Math<V>::silu(x); });
  }
}

template <typename V>
void gated_rms_norm(const GatedRmsNormKernelArgs& args, Index begin, Index end) {
  const Index width = args.channels / args.groups;
  const bool gate_first = args.order == GateOrder::kGateFirst || args.weight == nullptr;
  for (Index t = begin; t < end; ++t) {
    const float* y = args.y.data + t * args.y.stride;
    const float* z = args.z.data + t * args.z.stride;
    float* out = args.out.data + t * args.out.stride;
    if (gate_first) gate_row<V>(args.activation, y, z, out, args.channels);
    if (args.weight == nullptr) continue;
    const float* normed = gate_first ? out : y;
    for (Index first = 0; first < args.channels; first += width) {
      const float factor = inverse_rms<V>(normed + first, width, args.eps);
      const float* weight = args.shared_weight ? args.weight : args.weight + first;
      scale_by_weight<V>(normed + first, factor, weight, out + first, width);
    }
    if (!gate_first) gate_row<V>(args.activation, out, z, out, args.channels);
  }
}

}  // namespace
}  // namespace krait::cpu
