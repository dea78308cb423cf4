#include "kernels/cuda/scan_chunks.h"

#include <algorithm>

namespace krait::cuda {
namespace {

/// Cuts one sequence; `snapshot` is the next one of the batch that is not left yet.
void cut_sequence(const SequenceBatch& batch, std::int32_t sequence, int size, const StateSnapshot*& snapshot,
                  std::vector<ScanChunk>& chunks) {
  const auto i = static_cast<std::size_t>(sequence);
  const std::int32_t begin = batch.query_start_loc[i];
  const std::int32_t end = batch.query_start_loc[i + 1];
  const std::int32_t before = batch.num_computed_tokens.empty() ? 0 : batch.num_computed_tokens[i];
  const StateSnapshot* const last = batch.snapshots.data() + batch.snapshots.size();
  for (std::int32_t token = begin; token < end;) {
    std::int32_t next = std::min(token + size - (before + token - begin) % size, end);
    std::int32_t slot = 0;
    if (snapshot != last && snapshot->sequence == sequence && begin + snapshot->tokens <= next) {
      next = begin + snapshot->tokens;
      slot = snapshot->slot;
      ++snapshot;
    }
    chunks.push_back({.sequence = sequence, .token = token, .tokens = next - token, .snapshot = slot});
    token = next;
  }
}

}  // namespace

void cut_into_chunks(const SequenceBatch& batch, int size, int fewest, ScanChunks& found) {
  found.chunks.clear();
  found.first_chunk.assign(1, 0);
  found.others = false;
  const StateSnapshot* snapshot = batch.snapshots.data();
  const StateSnapshot* const last = snapshot + batch.snapshots.size();
  for (std::size_t i = 0; i + 1 < batch.query_start_loc.size(); ++i) {
    const std::int32_t tokens = batch.query_start_loc[i + 1] - batch.query_start_loc[i];
    const auto sequence = static_cast<std::int32_t>(i);
    while (snapshot != last && snapshot->sequence < sequence) ++snapshot;
    if (tokens >= fewest && batch.state_write[i] != 0) {
      cut_sequence(batch, sequence, size, snapshot, found.chunks);
    } else if (tokens > 0) {
      found.others = true;
    }
    found.first_chunk.push_back(static_cast<std::int32_t>(found.chunks.size()));
  }
}

}  // namespace krait::cuda
