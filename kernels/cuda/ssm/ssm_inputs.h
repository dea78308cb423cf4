#pragma once

#include "kernels/cuda/rows.h"
#include "kernels/cuda/sequences.h"
#include "kernels/stochastic_rounding.h"

namespace krait::cuda {

/// What the selective state space recurrence reads and writes, token by token, whatever kernel computes it:
///   dt = clamp(softplus(dt + dt_bias));  S[p, n] = exp(dt A) S[p, n] + dt x[p] B[n];  y[p] = sum_n S[p, n] C[n] + D
///   x[p]
/// Mamba-2 has one dt and one A a head; Mamba-1 a dt a row and an A an element (its channels are the rows of as many
/// "heads" as it has groups). Strides are in elements; a stride of 0 repeats a value.
struct SsmInputs {
  ConstRows x{};   ///< [T, heads * head_dim]
  ConstRows dt{};  ///< [T, heads], or with dt_per_row [T, heads * head_dim]; raw
  bool dt_per_row = false;
  ConstRows b{};  ///< [T, groups * state_size]
  ConstRows c{};  ///< [T, groups * state_size]
  ConstRows z{};  ///< like x, or null: y *= silu(z)
  const float* a = nullptr;
  std::int64_t a_stride_head = 1;
  std::int64_t a_stride_row = 0;
  std::int64_t a_stride_state = 0;
  const float* d = nullptr;  ///< may be null
  std::int64_t d_stride_head = 1;
  std::int64_t d_stride_row = 0;
  const float* dt_bias = nullptr;  ///< may be null; laid out as one row of dt
  bool dt_softplus = true;
  float dt_min = 0.0F;
  float dt_max = 0.0F;  ///< 0 and below: no upper limit
  int heads = 0;
  int head_dim = 0;
  int groups = 1;
  int state_size = 0;
  StateSlots state{};                       ///< [heads, head_dim, state_size]
  StateRounding rounding{};                 ///< of float16 states
  const std::int32_t* positions = nullptr;  ///< [sequences] of their first tokens, or null: all 0; for the rounding
  Rows y{};                                 ///< like x
};

}  // namespace krait::cuda
