#pragma once

#include <cstdint>
#include <vector>

#include "kernels/operation_graph.h"

namespace krait {

/// The pages of every request in one KV group: row r of [num_reqs, max_blocks].
struct BlockTable {
  int max_blocks = 0;
  std::vector<std::int32_t> pages;
};

/// A recurrent state to keep inside a prefill: of request `request`, when `position` tokens are in it, in slot `slot`.
/// The position lies inside the step's piece; the state at its end is in the request's own slot.
struct SnapshotRequest {
  int request = 0;
  int position = 0;
  std::int32_t slot = 0;
};

/// How a step lies in memory: decode tokens first, prefill tokens after. Built once a step by the runner; every
/// metadata builder reads it. R = num_decodes + num_prefills.
struct BatchLayout {
  int num_decodes = 0;
  int num_decode_tokens = 0;
  int num_prefills = 0;
  int num_prefill_tokens = 0;
  std::vector<std::int32_t> query_start_loc;      ///< [R + 1] token offsets
  std::vector<std::int32_t> num_computed_tokens;  ///< [R] tokens in the caches before this step
  std::vector<std::int32_t> seq_lens;             ///< [R] tokens in the caches after this step
  std::vector<std::int32_t> positions;            ///< [T] absolute
  std::vector<std::int32_t> state_read;           ///< [R] slots
  std::vector<std::int32_t> state_write;          ///< [R] slots
  std::vector<BlockTable> block_tables;           ///< one a KV group
  std::vector<std::int32_t> num_accepted_tokens;  ///< [num_decodes] of the last step's drafts; empty: all 1
  std::vector<SnapshotRequest> snapshots;
  /// First token of the stretch whose K and V are already in shared pages and must not be written again; [R], empty:
  /// none.
  std::vector<std::int32_t> num_replayed_tokens;
  /// No row has more tokens in the caches after this step; of a step that is padded to a bucket, that of the bucket. 0:
  /// not said.
  int max_seq_len = 0;

  [[nodiscard]] int num_reqs() const { return num_decodes + num_prefills; }
  [[nodiscard]] int num_tokens() const { return num_decode_tokens + num_prefill_tokens; }
  /// Those that operations are given. What metadata makes of the others, it lists itself.
  void list_arrays(StepArrays& arrays) const {
    arrays.add(query_start_loc);
    arrays.add(seq_lens);
    arrays.add(positions);
    for (const BlockTable& table : block_tables) arrays.add(table.pages);
  }
};

}  // namespace krait
