#include "models/backends/mamba2/mamba2_metadata.h"

#include <algorithm>
#include <string>

#include "kernels/result.h"
#include "models/backends/chunk_metadata.h"

namespace krait {
namespace {

/// The chunk of prefill `prefill` whose last token ends at absolute position `position`; -1 where none ends there. A
/// backend that keeps the states of chunks must not be asked for others; the token recurrence cuts where it is asked
/// to.
std::int32_t chunk_ending_at(const Mamba2Metadata& metadata, int prefill, std::int32_t computed,
                             std::int32_t position) {
  const std::int32_t end = metadata.query_start_loc_p[static_cast<std::size_t>(prefill)] + position - computed;
  const auto& borders = metadata.cu_chunk_seqlen_p;
  const auto found = std::lower_bound(borders.begin() + 1, borders.end(), end);
  const auto chunk = static_cast<std::int32_t>(found - borders.begin()) - 1;
  if (found == borders.end() || *found != end || metadata.seq_idx_p[static_cast<std::size_t>(chunk)] != prefill) {
    return -1;
  }
  return chunk;
}

}  // namespace

std::unique_ptr<LayerMetadata> Mamba2MetadataBuilder::build(const BatchLayout& batch) {
  auto metadata = std::make_unique<Mamba2Metadata>();
  fill_mamba_metadata(batch, mamba_block_size_, *metadata);
  metadata->chunk_size = chunk_size_;
  const auto computed = std::span(batch.num_computed_tokens).subspan(static_cast<std::size_t>(batch.num_decodes));
  VarlenChunkMetadata chunks = compute_varlen_chunk_metadata(metadata->query_start_loc_p, chunk_size_, computed);
  metadata->cu_chunk_seqlen_p = std::move(chunks.cu_chunk_seqlen);
  metadata->seq_idx_p = std::move(chunks.seq_idx);
  metadata->last_chunk_indices_p = std::move(chunks.last_chunk_indices);
  for (const SnapshotRequest& snapshot : batch.snapshots) {
    const int prefill = snapshot.request - batch.num_decodes;
    const std::int32_t before = batch.num_computed_tokens[static_cast<std::size_t>(snapshot.request)];
    metadata->snapshot_chunk.push_back(chunk_ending_at(*metadata, prefill, before, snapshot.position));
    metadata->snapshot_slot.push_back(snapshot.slot);
  }
  return metadata;
}

}  // namespace krait
