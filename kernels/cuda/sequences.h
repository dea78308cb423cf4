#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dtype.h"
#include "kernels/operations/state_args.h"

namespace krait::cuda {

/// A SequenceBatch (kernels/operations/state_args.h) whose arrays lie on the device.
struct Sequences {
  const std::int32_t* query_start_loc = nullptr;    ///< [count + 1]
  const std::int32_t* state_read = nullptr;         ///< [count]
  const std::int32_t* state_write = nullptr;        ///< [count]; 0: padding, skipped
  const std::uint8_t* has_initial_state = nullptr;  ///< [count]
  int count = 0;
  /// States to leave inside sequences: those of sequence i are [first_snapshot[i], first_snapshot[i + 1]).
  const StateSnapshot* snapshots = nullptr;
  const std::int32_t* first_snapshot = nullptr;  ///< [count + 1], or null: there are none
  int snapshot_count = 0;
};

/// Tiles of up to `size` tokens of one sequence that cover `tokens` tokens of `count` sequences; see `sequence_tile`.
constexpr int sequence_tiles(int tokens, int count, int size) { return tokens / size + count; }

/// One layer's states of one kind: slot i begins at data + i * stride.
struct StateSlots {
  std::byte* data = nullptr;
  std::size_t stride = 0;  ///< bytes
  DType dtype = DType::kFloat32;
};

}  // namespace krait::cuda
