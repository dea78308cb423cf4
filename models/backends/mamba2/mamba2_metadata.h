#pragma once

#include <cstdint>
#include <vector>

#include "models/backends/mamba_metadata.h"

namespace krait {

/// The common fields and the chunks of the prefill part (`chunk_metadata.h`).
struct Mamba2Metadata : MambaMetadata {
  int chunk_size = 0;
  std::vector<std::int32_t> cu_chunk_seqlen_p;     ///< [nchunks + 1]
  std::vector<std::int32_t> seq_idx_p;             ///< [nchunks]
  std::vector<std::int32_t> last_chunk_indices_p;  ///< [num_prefills]
  std::vector<std::int32_t> snapshot_chunk;        ///< [n] the chunk after which a state is kept; -1: none ends there
  std::vector<std::int32_t> snapshot_slot;         ///< [n] where
};

/// Builds it for every step of one group. `chunk_size` comes from the model (at least 1).
class Mamba2MetadataBuilder final : public MetadataBuilder {
 public:
  explicit Mamba2MetadataBuilder(int chunk_size, int mamba_block_size = 0)
      : chunk_size_(chunk_size), mamba_block_size_(mamba_block_size) {}
  std::unique_ptr<LayerMetadata> build(const BatchLayout& batch) override;

 private:
  int chunk_size_;
  int mamba_block_size_;
};

}  // namespace krait
