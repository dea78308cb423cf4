#pragma once

#include "kernels/cuda/rows.h"
#include "kernels/cuda/sequences.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// RgLruArgs on the device.
struct RgLru {
  Sequences sequences{};
  StateSlots state{};  ///< [channels]
  ConstRows x{};       ///< [T, channels]
  ConstRows input_gate{};
  ConstRows recurrent_gate{};
  const float* a_coefficient = nullptr;  ///< [channels]
  int channels = 0;
  Rows y{};  ///< [T, channels]
};

/// A thread a channel and sequence. What does not depend on the state is computed for several tokens ahead, so that
/// their loads are under way together. 16 bytes a channel and token; one token a sequence costs the latency of a
/// launch, a long prompt the latency of its tokens (a few blocks run).
void rg_lru(const RgLru& args, Stream stream);

}  // namespace krait::cuda
