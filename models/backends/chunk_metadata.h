#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace krait {

/// The chunks of a packed batch of prefills. A chunk holds tokens of one sequence, and its borders lie at absolute
/// multiples of the chunk size of that sequence: the first chunk of a continued prefill completes the partial one that
/// the last step left.
struct VarlenChunkMetadata {
  std::vector<std::int32_t> cu_chunk_seqlen;     ///< [chunks + 1] token offsets in the packed batch
  std::vector<std::int32_t> seq_idx;             ///< [chunks] the prefill that a chunk belongs to
  std::vector<std::int32_t> last_chunk_indices;  ///< [prefills] its last chunk; -1 for a sequence without tokens
};

/// `query_start_loc` [prefills + 1] starts at 0 and never falls; `num_computed_tokens` is empty (all zero) or
/// [prefills]. Throws std::invalid_argument when that or `chunk_size` >= 1 does not hold.
VarlenChunkMetadata compute_varlen_chunk_metadata(std::span<const std::int32_t> query_start_loc, int chunk_size,
                                                  std::span<const std::int32_t> num_computed_tokens = {});

}  // namespace krait
