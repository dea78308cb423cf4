#pragma once

#include "kernels/cuda/port.cuh"
#include "kernels/cuda/sequences.h"

/// Where a block finds its work in a batch of sequences of any lengths. No list comes from the host: the launch depends
/// on the number of tokens and sequences alone.
namespace krait::cuda {

/// The sequence that owns a token of the batch.
__device__ __forceinline__ int sequence_of_token(const Sequences& sequences, int token) {
  int low = 0;
  int high = sequences.count;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (sequences.query_start_loc[middle] <= token) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

/// Up to `size` tokens of one sequence.
struct SequenceTile {
  int sequence = 0;
  int begin = 0;   ///< the sequence's first token in the batch
  int length = 0;  ///< tokens of the sequence
  int first = 0;   ///< of the tile, counted in the sequence; not below `length`: the tile is empty
};

/// Tile `index` of `sequence_tiles` of them. Sequence i has the tiles from query_start_loc[i] / size + i on: never too
/// few, and at most one that is empty.
__device__ __forceinline__ SequenceTile sequence_tile(const Sequences& sequences, int index, int size) {
  int low = 0;
  int high = sequences.count;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (sequences.query_start_loc[middle] / size + middle <= index) {
      low = middle;
    } else {
      high = middle;
    }
  }
  SequenceTile tile;
  tile.sequence = low;
  tile.begin = sequences.query_start_loc[low];
  tile.length = sequences.query_start_loc[low + 1] - tile.begin;
  tile.first = (index - (tile.begin / size + low)) * size;
  return tile;
}

/// A sequence's snapshots, in the order of its tokens.
struct NextSnapshot {
  const StateSnapshot* next = nullptr;
  const StateSnapshot* end = nullptr;

  __device__ __forceinline__ NextSnapshot(const Sequences& sequences, int sequence) {
    if (sequences.first_snapshot == nullptr) return;
    next = sequences.snapshots + sequences.first_snapshot[sequence];
    end = sequences.snapshots + sequences.first_snapshot[sequence + 1];
  }
  /// The slot for the state when `tokens` tokens of the sequence are in it, or 0. To be asked for every one.
  __device__ __forceinline__ int slot(int tokens) {
    if (next == end || next->tokens != tokens) return 0;
    return next++->slot;
  }
};

__device__ __forceinline__ std::byte* state_slot(const StateSlots& state, std::int64_t slot) {
  return state.data + slot * static_cast<std::int64_t>(state.stride);
}

}  // namespace krait::cuda
