#include "models/backends/chunk_metadata.h"

#include <algorithm>
#include <stdexcept>

namespace krait {
namespace {

void check(std::span<const std::int32_t> query_start_loc, int chunk_size, std::span<const std::int32_t> computed) {
  if (chunk_size < 1) throw std::invalid_argument("chunk_size must be at least 1");
  if (query_start_loc.empty() || query_start_loc.front() != 0) {
    throw std::invalid_argument("query_start_loc must start with 0");
  }
  if (!std::is_sorted(query_start_loc.begin(), query_start_loc.end())) {
    throw std::invalid_argument("query_start_loc must not fall");
  }
  if (!computed.empty() && computed.size() + 1 != query_start_loc.size()) {
    throw std::invalid_argument("num_computed_tokens must have one entry a sequence");
  }
  if (std::any_of(computed.begin(), computed.end(), [](std::int32_t n) { return n < 0; })) {
    throw std::invalid_argument("num_computed_tokens must not be negative");
  }
}

}  // namespace

VarlenChunkMetadata compute_varlen_chunk_metadata(std::span<const std::int32_t> query_start_loc, int chunk_size,
                                                  std::span<const std::int32_t> num_computed_tokens) {
  check(query_start_loc, chunk_size, num_computed_tokens);
  VarlenChunkMetadata chunks;
  chunks.cu_chunk_seqlen.push_back(0);
  const std::size_t sequences = query_start_loc.size() - 1;
  for (std::size_t i = 0; i < sequences; ++i) {
    const std::int32_t begin = query_start_loc[i];
    const std::int32_t end = query_start_loc[i + 1];
    const std::int32_t partial = num_computed_tokens.empty() ? 0 : num_computed_tokens[i] % chunk_size;
    std::int32_t length = chunk_size - partial;
    for (std::int32_t at = begin; at < end; length = chunk_size) {
      at += std::min(length, end - at);
      chunks.cu_chunk_seqlen.push_back(at);
      chunks.seq_idx.push_back(static_cast<std::int32_t>(i));
    }
    chunks.last_chunk_indices.push_back(begin == end ? -1 : static_cast<std::int32_t>(chunks.seq_idx.size()) - 1);
  }
  return chunks;
}

}  // namespace krait
