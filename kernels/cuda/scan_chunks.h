#pragma once

#include <cstdint>
#include <vector>

#include "kernels/operations/state_args.h"

namespace krait::cuda {

/// Tokens of one sequence that a chunked scan takes together.
struct ScanChunk {
  std::int32_t sequence = 0;
  std::int32_t token = 0;  ///< the first, in the batch
  std::int32_t tokens = 0;
  std::int32_t snapshot = 0;  ///< the slot that the state after it is left in too; 0: none
};

struct ScanChunks {
  std::vector<ScanChunk> chunks;
  std::vector<std::int32_t> first_chunk;  ///< [sequences + 1]
  bool others = false;                    ///< some sequence has tokens and no chunks
};

/// Cuts the sequences of at least `fewest` tokens that are not padding. Chunks end at absolute multiples of `size` in
/// their sequence, so a prompt that is cut at such multiples has the same chunks; and at the batch's snapshots.
void cut_into_chunks(const SequenceBatch& batch, int size, int fewest, ScanChunks& found);

}  // namespace krait::cuda
