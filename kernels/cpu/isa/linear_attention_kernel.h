#pragma once

#include "kernels/cpu/isa/matrix_state_kernel.h"

/// Linear attention with one decay a head. Per row of the state (an element of the value), with the sum along the keys:
///   s = fma(v, k, s decay);  out = sum s q;  s = rounded to the state's type
namespace krait::cpu {
namespace {

template <typename V>
Index linear_attention_scratch(const LinearAttentionKernelArgs& args) {
  return (2 * kMatrixChunkTokens + kMatrixRows) * round_up(args.scan.key_dim, kLanes);
}

template <typename V>
struct LinearAttention {
  const LinearAttentionKernelArgs& args;
  Index width;  ///< key_dim rounded up to whole vectors, the rest zero
  float* q;     ///< [chunk, width]
  float* k;     ///< [chunk, width]
  float* rows;  ///< [kMatrixRows, width]

  LinearAttention(const LinearAttentionKernelArgs& args_in, float* memory)
      : args(args_in),
        width(round_up(args_in.scan.key_dim, kLanes)),
        q(memory),
        k(q + kMatrixChunkTokens * width),
        rows(k + kMatrixChunkTokens * width) {}

  void prepare(Index head, Index token, Index tokens) const {
    const Index dim = args.scan.key_dim;
    for (Index t = 0; t < tokens; ++t) {
      const float* query = args.q.data + (token + t) * args.q.stride + head * dim;
      const float* key = args.k.data + (token + t) * args.k.stride + head * dim;
      for (Index i = 0; i < dim; i += kLanes) {
        V::store(q + t * width + i, load<V>(query + i, lanes_left(i, dim)));
        V::store(k + t * width + i, load<V>(key + i, lanes_left(i, dim)));
      }
    }
  }

  template <typename StateType, int kRows>
  void step(Index head, Index row, Index token, Index t) const {
    const Index column = head * args.scan.value_dim + row;
    const float* v = args.v.data + token * args.v.stride + column;
    float* out = args.out.data + token * args.out.stride + column;
    const auto decay = V::set1(args.decay[head]);
    typename V::F sums[kRows];
    for (int r = 0; r < kRows; ++r) sums[r] = V::zero();
    for (Index i = 0; i < width; i += kLanes) {
      const auto key = V::load(k + t * width + i);
      const auto query = V::load(q + t * width + i);
      for (int r = 0; r < kRows; ++r) {
        const auto state = V::fma(V::set1(v[r]), key, V::mul(V::load(rows + r * width + i), decay));
        sums[r] = V::fma(state, query, sums[r]);
        V::store(rows + r * width + i, StateType::round(state));
      }
    }
    for (int r = 0; r < kRows; ++r) out[r] = V::reduce_add(sums[r]);
  }
};

template <typename V>
void linear_attention(const LinearAttentionKernelArgs& args, Index begin, Index end, float* scratch) {
  const LinearAttention<V> rule(args, scratch);
  with_stored<V>(args.scan.state.recurrent_dtype, [&](auto stored) {
    for (Index unit = begin; unit < end; ++unit) scan_matrix<V, decltype(stored)>(args.scan, unit, rule);
  });
}

}  // namespace
}  // namespace krait::cpu
