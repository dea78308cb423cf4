#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/packed_weight.h"
#include "kernels/stochastic_rounding.h"
#include "kernels/tensor.h"

namespace krait {

/// One layer's part of the state pool, whose slots are laid out [slot][layer][conv state | recurrent state].
struct StateCacheView {
  std::byte* conv =
      nullptr;  ///< this layer's conv state in slot 0: [kernel - 1, channels], channel-last, oldest token first
  std::byte* recurrent = nullptr;  ///< this layer's recurrent state in slot 0, on a 128-byte boundary
  std::size_t slot_stride = 0;     ///< bytes from a slot to the next
  DType conv_dtype = DType::kFloat32;
  DType recurrent_dtype = DType::kFloat32;
  StateRounding rounding{};  ///< of float16 recurrent states, by the selective state space operations; others refuse it
};

/// A state to leave inside a sequence, beside the one at its end.
struct StateSnapshot {
  std::int32_t sequence = 0;  ///< of the batch
  std::int32_t tokens = 0;    ///< of the sequence in this batch that are in it: above 0, below all
  std::int32_t slot = 0;
};

/// Which sequences a varlen state kernel works on. Sequence i owns tokens [query_start_loc[i], query_start_loc[i+1]),
/// starts from slot state_read[i] (from zeros where has_initial_state[i] is 0, whatever the slot holds) and leaves its
/// state in state_write[i]. A sequence without tokens copies nothing and changes nothing. Slot 0 is the null slot of
/// padded rows: they are skipped.
struct SequenceBatch {
  std::span<const std::int32_t> query_start_loc{};    ///< [R + 1]
  std::span<const std::int32_t> state_read{};         ///< [R]
  std::span<const std::int32_t> state_write{};        ///< [R]
  std::span<const std::uint8_t> has_initial_state{};  ///< [R]
  /// [R] tokens of each sequence before these, or empty: none. A platform that works in chunks puts their borders at
  /// absolute multiples in the sequence; stochastic rounding of the states draws by absolute positions.
  std::span<const std::int32_t> num_computed_tokens{};
  /// Sorted by sequence and tokens. Only for operations that leave snapshots (`Operations::leaves_snapshots`).
  std::span<const StateSnapshot> snapshots{};
};

/// y[t] = act(bias + sum_k w[k] x[t - (K-1) + k]) per channel; keeps the last K-1 raw inputs as state.
struct CausalConv1dArgs {
  TensorView x{};        ///< [T, channels]
  TensorView weight{};   ///< [K, channels] float32 (transposed at load)
  TensorView bias{};     ///< [channels] float32 or undefined
  TensorView initial{};  ///< [channels] float32: the inputs before a sequence's start; undefined: zeros
  bool silu = true;
  SequenceBatch batch{};
  StateCacheView state{};
  TensorView out{};  ///< [T, channels]; may not alias x
};

/// A convolution whose groups of channels mix: with D = channels / groups,
///   y[t, g D + o] = bias + sum_k sum_i w[g][k][o][i] x[t - (K-1) + k, g D + i]
/// Keeps the last K-1 inputs as conv state.
struct GroupedCausalConv1dArgs {
  TensorView x{};                           ///< [T, channels]
  std::span<const PackedWeight> weights{};  ///< [groups * K], tap fastest, each [D, D]
  int groups = 1;
  int kernel = 1;
  TensorView bias{};     ///< [channels] float32 or undefined
  TensorView initial{};  ///< [channels] float32: the inputs before a sequence's start; undefined: zeros
  SequenceBatch batch{};
  StateCacheView state{};
  TensorView out{};  ///< [T, channels]; may not alias x
};

}  // namespace krait
