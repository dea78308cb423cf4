#pragma once

#include "kernels/cpu/isa/matrix_state_kernel.h"

/// The gated delta rule. Per row of the state (an element of the value), with sums along the keys:
///   s = s decay;  delta = beta (v - sum s k);  s = fma(delta, k, s);  out = sum s q;  s = rounded to the state's type
namespace krait::cpu {
namespace {

template <typename V>
Index delta_rule_scratch(const DeltaRuleKernelArgs& args) {
  const Index width = round_up(args.scan.key_dim, kLanes);
  return (2 * kMatrixChunkTokens + kMatrixRows) * width + kMatrixChunkTokens * larger(width, 1) + 2 * kLanes;
}

template <typename V>
struct DeltaRule {
  const DeltaRuleKernelArgs& args;
  Index width;   ///< key_dim rounded up to whole vectors, the rest zero
  float* q;      ///< [chunk, width], normed
  float* k;      ///< [chunk, width], normed
  float* rows;   ///< [kMatrixRows, width]
  float* beta;   ///< [16]
  float* decay;  ///< [chunk, width], or [16] with one decay a head

  DeltaRule(const DeltaRuleKernelArgs& args_in, float* memory)
      : args(args_in),
        width(round_up(args_in.scan.key_dim, kLanes)),
        q(memory),
        k(q + kMatrixChunkTokens * width),
        rows(k + kMatrixChunkTokens * width),
        beta(rows + kMatrixRows * width),
        decay(beta + kLanes) {}

  /// scale x / sqrt(sum x^2 + eps)
  void normalise(const float* x, float scale, float* to) const {
    const Index n = args.scan.key_dim;
    auto sum = V::zero();
    for (Index i = 0; i < n; i += kLanes) {
      const auto value = load<V>(x + i, lanes_left(i, n));
      sum = V::fma(value, value, sum);
    }
    const auto factor = V::set1(scale / __builtin_sqrtf(V::reduce_add(sum) + args.qk_norm_eps));
    for (Index i = 0; i < n; i += kLanes) V::store(to + i, V::mul(load<V>(x + i, lanes_left(i, n)), factor));
  }

  /// exp of the log decay of a raw input with its bias.
  [[nodiscard]] typename V::F decay_of(typename V::F u, Index head) const {
    const auto a = V::set1(args.a[head]);
    if (args.decay_kind == DeltaDecay::kSoftplus) return Math<V>::exp(V::mul(a, Math<V>::softplus(u)));
    return Math<V>::exp(V::mul(V::set1(args.lower_bound), Math<V>::sigmoid(V::mul(a, u))));
  }

  void prepare(Index head, Index token, Index tokens) const {
    const Index dim = args.scan.key_dim;
    const Index key_head = head / (args.scan.heads / args.key_heads);
    float raw_beta[kLanes] = {};
    float raw_decay[kLanes] = {};
    for (Index t = 0; t < tokens; ++t) {
      const Index at = token + t;
      normalise(args.q.data + at * args.q.stride + key_head * dim, args.q_scale, q + t * width);
      normalise(args.k.data + at * args.k.stride + key_head * dim, 1.0F, k + t * width);
      raw_beta[t] = args.beta.data[at * args.beta.stride + head];
      if (!args.decay_per_channel) {
        raw_decay[t] = args.decay.data[at * args.decay.stride + head];
        continue;
      }
      const float* raw = args.decay.data + at * args.decay.stride + head * dim;
      for (Index i = 0; i < dim; i += kLanes) {
        const int n = lanes_left(i, dim);
        auto u = load<V>(raw + i, n);
        if (args.decay_bias != nullptr) u = V::add(u, load<V>(args.decay_bias + head * dim + i, n));
        V::store(decay + t * width + i, decay_of(u, head));
      }
    }
    V::store(beta, V::mul(V::set1(args.beta_scale), Math<V>::sigmoid(V::load(raw_beta))));
    if (args.decay_per_channel) return;
    auto u = V::load(raw_decay);
    if (args.decay_bias != nullptr) u = V::add(u, V::set1(args.decay_bias[head]));
    V::store(decay, decay_of(u, head));
  }

  template <typename StateType, int kRows>
  void step(Index head, Index row, Index token, Index t) const {
    const Index column = head * args.scan.value_dim + row;
    const float* v = args.v.data + token * args.v.stride + column;
    float* out = args.out.data + token * args.out.stride + column;
    if (args.decay_per_channel) {
      update<StateType, kRows>(v, out, t, ColumnDecay<V>{decay, width});
    } else {
      update<StateType, kRows>(v, out, t, TokenDecay<V>{decay});
    }
  }

  template <typename StateType, int kRows, typename Decay>
  void update(const float* v, float* out, Index t, const Decay& decay_at) const {
    typename V::F sums[kRows];
    typename V::F delta[kRows];
    for (int r = 0; r < kRows; ++r) sums[r] = V::zero();
    for (Index i = 0; i < width; i += kLanes) {
      const auto factor = decay_at(t, i);
      const auto key = V::load(k + t * width + i);
      for (int r = 0; r < kRows; ++r) {
        const auto state = V::mul(V::load(rows + r * width + i), factor);
        V::store(rows + r * width + i, state);
        sums[r] = V::fma(state, key, sums[r]);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      delta[r] = V::set1(beta[t] * (v[r] - V::reduce_add(sums[r])));
      sums[r] = V::zero();
    }
    for (Index i = 0; i < width; i += kLanes) {
      const auto key = V::load(k + t * width + i);
      const auto query = V::load(q + t * width + i);
      for (int r = 0; r < kRows; ++r) {
        const auto state = V::fma(delta[r], key, V::load(rows + r * width + i));
        sums[r] = V::fma(state, query, sums[r]);
        V::store(rows + r * width + i, StateType::round(state));
      }
    }
    for (int r = 0; r < kRows; ++r) out[r] = V::reduce_add(sums[r]);
  }
};

template <typename V>
void delta_rule(const DeltaRuleKernelArgs& args, Index begin, Index end, float* scratch) {
  const DeltaRule<V> rule(args, scratch);
  with_stored<V>(args.scan.state.recurrent_dtype, [&](auto stored) {
    for (Index unit = begin; unit < end; ++unit) scan_matrix<V, decltype(stored)>(args.scan, unit, rule);
  });
}

}  // namespace
}  // namespace krait::cpu
