#include "kernels/cuda/ssm/ssd_chunks.h"

#include <algorithm>

namespace krait::cuda {

void find_ssd_chunks(const SequenceBatch& batch, SsdChunks& found) {
  found.chunks.clear();
  found.sequences.clear();
  for (std::size_t i = 0; i + 1 < batch.query_start_loc.size(); ++i) {
    const std::int32_t begin = batch.query_start_loc[i];
    const std::int32_t end = batch.query_start_loc[i + 1];
    if (batch.state_write[i] == 0 || end - begin <= kSsdFewTokens) continue;
    const auto sequence = static_cast<std::int32_t>(i);
    SsdSequence& cut = found.sequences.emplace_back();
    cut.sequence = sequence;
    cut.first_chunk = static_cast<std::int32_t>(found.chunks.size());
    const std::int32_t before = batch.num_computed_tokens.empty() ? 0 : batch.num_computed_tokens[i] % kSsdChunk;
    std::int32_t length = kSsdChunk - before;
    for (std::int32_t token = begin; token < end;) {
      found.chunks.push_back({.sequence = sequence, .token = token, .tokens = std::min(length, end - token)});
      token += length;
      length = kSsdChunk;
    }
    cut.chunks = static_cast<std::int32_t>(found.chunks.size()) - cut.first_chunk;
  }
}

}  // namespace krait::cuda
