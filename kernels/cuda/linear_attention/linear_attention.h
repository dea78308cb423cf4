#pragma once

#include "kernels/cuda/delta/matrix_scan.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// LinearAttentionArgs on the device.
struct LinearAttention {
  MatrixScan scan{};
  ConstRows q{};  ///< [T, heads * key_dim]
  ConstRows k{};
  ConstRows v{};                 ///< [T, heads * value_dim]
  const float* decay = nullptr;  ///< [heads]
  bool keys_aligned = false;     ///< rows of q and k lie on 16 bytes, head by head
  Rows out{};                    ///< [T, heads * value_dim]
};

/// Token by token, the state rounded to its type after each. With s the decayed old row: out = s.q + v (k.q), and
/// s = s + v k. Reads and writes the state once, as delta_rule_scan does; about 5 flops an element and token.
void linear_attention_scan(const LinearAttention& args, Stream stream);

}  // namespace krait::cuda
