#pragma once

#include "kernels/cuda/rows.h"
#include "kernels/cuda/sequences.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// What a grouped convolution (GroupedCausalConv1dArgs) does beside its products, one for each tap and group.
struct GroupedConv1d {
  ConstRows x{};
  const float* bias = nullptr;     ///< may be null
  const float* initial = nullptr;  ///< may be null: zeros
  int kernel = 1;
  int channels = 0;
  Sequences sequences{};
  StateSlots state{};        ///< [kernel - 1, channels], oldest first
  float* shifted = nullptr;  ///< [kernel, tokens, channels]: the inputs that each tap multiplies, oldest tap first
  float* sums = nullptr;     ///< [tokens, channels]
  Rows out{};
  int tokens = 0;
};

/// Fills `shifted`, and `sums` with the bias. Bound by memory: (kernel + 1) 4 bytes written an input.
void grouped_conv1d_inputs(const GroupedConv1d& args, Stream stream);
/// Copies the sums of tokens that are not padding to `out`, and leaves the states.
void grouped_conv1d_finish(const GroupedConv1d& args, Stream stream);

}  // namespace krait::cuda
