#pragma once

#include "kernels/cuda/rows.h"
#include "kernels/cuda/sequences.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// Leaves the convolution states of a batch's snapshots. Before the convolution itself, which may leave a sequence's
/// state in the slot that it reads. A block: a snapshot, some channels; small, bound by latency.
struct ConvSnapshots {
  ConstRows x{};
  const float* initial = nullptr;  ///< [channels], may be null: zeros
  int kernel = 1;
  int channels = 0;
  Sequences sequences{};
  StateSlots state{};  ///< [kernel - 1, channels], oldest first
};
void conv_snapshots(const ConvSnapshots& args, Stream stream);

}  // namespace krait::cuda
