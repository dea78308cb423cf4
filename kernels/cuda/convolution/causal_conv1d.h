#pragma once

#include "kernels/cuda/rows.h"
#include "kernels/cuda/sequences.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// CausalConv1dArgs on the device. A thread a channel and tile of 16 tokens of one sequence (of one token where no
/// sequence has more): all its inputs are loaded before the first sum, neighbouring threads read neighbouring channels.
/// The tile that begins a sequence also reads and writes its state, so read and write slot may be one. 8 bytes an
/// element beside the state's 2 (kernel - 1) channels elements a sequence, 2 kernel flops: bound by memory; a decode
/// step by latency.
struct CausalConv1d {
  ConstRows x{};
  ConstRows weight{};              ///< [kernel, channels]
  const float* bias = nullptr;     ///< may be null
  const float* initial = nullptr;  ///< may be null: zeros
  bool silu = true;
  int kernel = 1;
  int channels = 0;
  Sequences sequences{};
  StateSlots state{};  ///< [kernel - 1, channels], oldest first
  Rows out{};
  int tokens = 0;
  bool one_token_each = false;  ///< no sequence has more than one token
};
void causal_conv1d(const CausalConv1d& args, Stream stream);

}  // namespace krait::cuda
