#pragma once

#include <cstdint>
#include <span>

#include "kernels/kernel_library.h"
#include "kernels/operations/state_args.h"

namespace krait {

/// The Mamba-2 recurrence (Dao and Gu, 2024, "Transformers are SSMs", eq. 19 in its recurrent form), token by token:
///   dt = clamp(softplus(dt + dt_bias), dt_min, dt_max);  S = exp(dt A) S + dt x B^T;  y = S C + D x
struct SsmScanArgs {
  TensorView x{};        ///< [T, heads * head_dim]
  TensorView b{};        ///< [T, groups * state]
  TensorView c{};        ///< [T, groups * state]
  TensorView dt{};       ///< [T, heads], raw
  TensorView a{};        ///< [heads] float32, already -exp(A_log)
  TensorView d{};        ///< [heads] float32 or undefined
  TensorView dt_bias{};  ///< [heads] float32 or undefined
  float dt_min = 0.0F;
  float dt_max = 0.0F;  ///< infinity, or 0 and below: no upper limit
  int heads = 0;
  int head_dim = 0;
  int groups = 1;
  int state_size = 0;
  SequenceBatch batch{};
  StateCacheView state{};  ///< recurrent: [heads, head_dim, state_size]
  TensorView y{};          ///< [T, heads * head_dim]
};

/// The Mamba-1 recurrence (Gu and Dao, 2023, alg. 2), token by token, per channel d of group g = d / (channels /
/// groups):
///   dt = softplus(dt + dt_bias);  s[n] = exp(dt A[n]) s[n] + dt x B[n];  y = sum_n s[n] C[n] + D x
/// The same bits as `selective_state_update` with one row a head.
struct SelectiveScanArgs {
  TensorView x{};        ///< [T, channels]
  TensorView dt{};       ///< [T, channels], raw
  TensorView b{};        ///< [T, groups * state]
  TensorView c{};        ///< [T, groups * state]
  TensorView a{};        ///< [channels, state] float32, already -exp(A_log)
  TensorView d{};        ///< [channels] float32 or undefined
  TensorView dt_bias{};  ///< [channels] float32 or undefined
  int channels = 0;
  int groups = 1;
  int state_size = 0;
  SequenceBatch batch{};
  StateCacheView state{};  ///< recurrent: [channels, state_size]
  TensorView y{};          ///< [T, channels]
};

/// One token of the selective state space recurrence, or the few tokens of a draft, for each of `batch` sequences (Gu
/// and Dao, 2023, alg. 2; Mamba-2's scalar A is the case of stride 0): state[h,p,n] = state * exp(dt[h,p] A[h,p,n]) +
/// dt[h,p] B[g,n] x[h,p];  y[h,p] = sum_n state C[g,n] + D x. Strides are in elements; a stride of 0 repeats a value. T
/// = batch * tokens.
struct SelectiveStateUpdateArgs {
  int tokens = 1;   ///< of each sequence, one after another; each leaves its state in a slot of its own
  TensorView x{};   ///< [T, heads * head_dim]
  TensorView dt{};  ///< [T, heads] or, with dt_per_row, [T, heads * head_dim]; raw
  bool dt_per_row = false;
  TensorView b{};  ///< [T, groups * state]
  TensorView c{};  ///< [T, groups * state]
  TensorView z{};  ///< [T, heads * head_dim] or undefined: y *= silu(z)
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
  float dt_max = 0.0F;  ///< infinity, or 0 and below: no upper limit
  int heads = 0;
  int head_dim = 0;
  int groups = 1;
  int state_size = 0;
  std::span<const std::int32_t> state_read{};         ///< [batch]
  std::span<const std::int32_t> state_write{};        ///< [T]; null slot 0: padding, as what follows it of the sequence
  std::span<const std::uint8_t> has_initial_state{};  ///< [batch], or empty: all have one
  /// [batch] of the first tokens in their sequences, or empty: all 0. For stochastic rounding alone.
  std::span<const std::int32_t> positions{};
  StateCacheView state{};                          ///< recurrent: [heads, head_dim, state_size]
  TensorView y{};                                  ///< [T, heads * head_dim]
  KernelLibrary library = KernelLibrary::kNative;  ///< one that `Platform::supports_state_update`
};

/// How a delta rule makes its log decay g <= 0 of a raw input u.
enum class DeltaDecay : std::uint8_t {
  kSoftplus,        ///< g = a softplus(u + bias), with a = -exp(A_log)
  kBoundedSigmoid,  ///< g = lower_bound sigmoid(a (u + bias)), with a = exp(A_log)
};

/// The gated delta rule (Yang, Kautz and Hatamizadeh, 2024, "Gated Delta Networks", eq. 10), token by token; with a
/// decay for each key channel it is Kimi delta attention (Kimi Linear, 2025, eq. 1). Per value head, with
/// q = l2(q) / sqrt(key_dim), k = l2(k), l2(x) = x / sqrt(sum x^2 + qk_norm_eps), beta = beta_scale sigmoid(beta raw):
///   S = exp(g) S;  S = S + k (beta (v - S^T k))^T;  o = S^T q
/// Value head h reads key head h / (value_heads / key_heads).
struct DeltaRuleArgs {
  TensorView q{};      ///< [T, key_heads * key_dim]
  TensorView k{};      ///< [T, key_heads * key_dim]
  TensorView v{};      ///< [T, value_heads * value_dim]
  TensorView decay{};  ///< raw: [T, value_heads], or [T, value_heads * key_dim] with `decay_per_channel`
  bool decay_per_channel = false;
  DeltaDecay decay_kind = DeltaDecay::kSoftplus;
  float lower_bound = 0.0F;
  TensorView a{};           ///< [value_heads] float32
  TensorView decay_bias{};  ///< float32, as one row of `decay`
  TensorView beta{};        ///< [T, value_heads] raw
  float beta_scale = 1.0F;
  float qk_norm_eps = 1e-6F;
  int key_heads = 0;
  int value_heads = 0;
  int key_dim = 0;
  int value_dim = 0;
  SequenceBatch batch{};
  StateCacheView state{};  ///< recurrent: [value_heads, value_dim, key_dim]
  TensorView out{};        ///< [T, value_heads * value_dim]
};

/// Lightning attention (Qin et al., 2024, "Lightning Attention-2", eq. 4), token by token, per head:
///   S = decay S + k v^T;  o = S^T q
struct LinearAttentionArgs {
  TensorView q{};      ///< [T, heads * head_dim]
  TensorView k{};      ///< [T, heads * head_dim]
  TensorView v{};      ///< [T, heads * head_dim]
  TensorView decay{};  ///< [heads] float32, exp(-slope)
  int heads = 0;
  int head_dim = 0;
  SequenceBatch batch{};
  StateCacheView state{};  ///< recurrent: [heads, value dim, key dim]
  TensorView out{};        ///< [T, heads * head_dim]
};

/// The RG-LRU (De et al., 2024, "Griffin", eq. 1 to 4), token by token, per channel:
///   log a = a_coefficient sigmoid(recurrent gate);  s = exp(log a) s + sqrt(1 - exp(2 log a)) (sigmoid(input gate) x)
/// The first token of a sequence enters without the square root. y = s.
struct RgLruArgs {
  TensorView x{};               ///< [T, channels]
  TensorView input_gate{};      ///< [T, channels] raw
  TensorView recurrent_gate{};  ///< [T, channels] raw
  TensorView a_coefficient{};   ///< [channels] float32: -8 softplus(recurrent_param)
  SequenceBatch batch{};
  StateCacheView state{};  ///< recurrent: [channels]
  TensorView y{};          ///< [T, channels]
};

}  // namespace krait
