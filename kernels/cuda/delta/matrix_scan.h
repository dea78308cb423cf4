#pragma once

#include "kernels/cuda/sequences.h"

namespace krait::cuda {

/// Sequences through a state that is a matrix [value_dim, key_dim] a head, the keys innermost.
struct MatrixScan {
  Sequences sequences{};
  StateSlots state{};  ///< [heads, value_dim, key_dim]
  int heads = 0;
  int value_dim = 0;
  int key_dim = 0;  ///< at most kMaximumKeyDim
  /// Sequences with more tokens are left to another kernel.
  int most_tokens = 0x7fffffff;
};
constexpr int kMaximumKeyDim = 512;

}  // namespace krait::cuda
