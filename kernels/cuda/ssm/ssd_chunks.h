#pragma once

#include <cstdint>
#include <vector>

#include "kernels/operations/state_args.h"

namespace krait::cuda {

/// Tokens of a chunk. A longer one would write fewer states, a shorter one multiply less; models have 256, of which it
/// is a divisor.
inline constexpr int kSsdChunk = 128;
/// Sequences of more tokens in a call take the chunked scan, others the token recurrence, so that company does not
/// choose. Up to one chunk the five launches of the former cost what the tokens of the latter do (an estimate: to be
/// measured on a device).
inline constexpr int kSsdFewTokens = 128;

/// Tokens of one sequence.
struct SsdChunk {
  std::int32_t sequence = 0;
  std::int32_t token = 0;  ///< the first, in the batch
  std::int32_t tokens = 0;
};

/// A sequence that is cut into chunks.
struct SsdSequence {
  std::int32_t sequence = 0;
  std::int32_t first_chunk = 0;
  std::int32_t chunks = 0;
};

struct SsdChunks {
  std::vector<SsdChunk> chunks;
  std::vector<SsdSequence> sequences;
};

/// The long sequences of a batch that are not padding. Chunks end at absolute multiples of kSsdChunk in their sequence,
/// so a prompt that is cut at such multiples has the same chunks.
void find_ssd_chunks(const SequenceBatch& batch, SsdChunks& found);

}  // namespace krait::cuda
