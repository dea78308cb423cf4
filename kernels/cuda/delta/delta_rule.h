#pragma once

#include "kernels/cuda/delta/matrix_scan.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"
#include "kernels/operations/scan_args.h"

namespace krait::cuda {

/// DeltaRuleArgs on the device.
struct DeltaRule {
  MatrixScan scan{};  ///< heads: of the values
  ConstRows q{};      ///< [T, key_heads * key_dim]
  ConstRows k{};
  ConstRows v{};      ///< [T, heads * value_dim]
  ConstRows decay{};  ///< raw: [T, heads], or [T, heads * key_dim]
  ConstRows beta{};   ///< [T, heads], raw
  bool decay_per_channel = false;
  DeltaDecay decay_kind = DeltaDecay::kSoftplus;
  float lower_bound = 0.0F;
  const float* a = nullptr;           ///< [heads]
  const float* decay_bias = nullptr;  ///< as one row of decay; null: zeros
  float beta_scale = 1.0F;
  float q_scale = 1.0F;  ///< 1 / sqrt(key_dim)
  float qk_norm_eps = 1e-6F;
  int key_heads = 0;
  bool keys_aligned = false;  ///< rows of q and k lie on 16 bytes, head by head
  Rows out{};                 ///< [T, heads * value_dim]
};

/// Token by token, the state rounded to its type after each. With s the decayed old row, both products come from it:
///   u = beta (v - s.k);  out = s.q + u (k.q);  s = s + u k
/// so that the state is read and written once: 2 * heads * value_dim * key_dim * (bytes of an element) a sequence and
/// about 7 flops an element and token. One token a sequence is bound by memory (32 heads of 128 x 128 in float32: 4 MiB
/// a sequence); many tokens are bound by the latency of a token.
void delta_rule_scan(const DeltaRule& args, Stream stream);

}  // namespace krait::cuda
