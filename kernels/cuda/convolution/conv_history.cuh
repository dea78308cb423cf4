#pragma once

#include "kernels/cuda/rows.h"
#include "kernels/cuda/sequences.cuh"
#include "kernels/cuda/stored.cuh"

namespace krait::cuda {

/// What the tokens of one sequence see of one channel: their own input unrounded, older ones as the state holds them,
/// so that it does not matter which of them came in an earlier call.
struct ConvHistory {
  const float* x = nullptr;  ///< the channel of the sequence's first token
  std::int64_t x_stride = 0;
  int length = 0;                   ///< tokens of the sequence
  const std::byte* from = nullptr;  ///< its slot, where it has a state
  float before = 0.0F;              ///< the inputs before the first, where it has none; rounded
  DType dtype = DType::kFloat32;
  int taps = 0;      ///< rows of the state
  int channels = 0;  ///< its columns
  int channel = 0;

  __device__ __forceinline__ float raw(int position) const { return x[position * x_stride]; }
  /// The input at a position before the first token: -taps ... -1.
  __device__ __forceinline__ float kept(int position) const {
    if (from == nullptr) return before;
    return load_stored(from, dtype, static_cast<std::int64_t>(taps + position) * channels + channel);
  }
  /// An older input than one's own.
  __device__ __forceinline__ float seen(int position) const {
    return position < 0 ? kept(position) : round_stored(dtype, raw(position));
  }
  /// Leaves the state after the sequence. Rows move towards the front, so the slots may be one.
  __device__ __forceinline__ void write(std::byte* to) const {
    for (int row = 0; row < taps; ++row) {
      const int position = length - taps + row;
      const float value = position < 0 ? kept(position) : raw(position);
      store_stored(to, dtype, static_cast<std::int64_t>(row) * channels + channel, value);
    }
  }
};

/// `initial` may be null. The sequence is not padding.
__device__ __forceinline__ ConvHistory conv_history(const ConstRows& x, const float* initial,
                                                    const Sequences& sequences, const StateSlots& state, int taps,
                                                    int channels, int channel, const SequenceTile& tile) {
  ConvHistory history;
  history.x = x.data + tile.begin * x.stride + channel;
  history.x_stride = x.stride;
  history.length = tile.length;
  history.dtype = state.dtype;
  history.taps = taps;
  history.channels = channels;
  history.channel = channel;
  if (sequences.has_initial_state[tile.sequence] != 0) {
    history.from = state_slot(state, sequences.state_read[tile.sequence]);
  } else if (initial != nullptr) {
    history.before = round_stored(state.dtype, initial[channel]);
  }
  return history;
}

}  // namespace krait::cuda
