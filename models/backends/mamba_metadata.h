#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/operations.h"
#include "models/backends/layer_backend.h"
#include "models/backends/sequence_waves.h"

namespace krait {

/// The fields that exist only under `--mamba-cache-mode all`: which state blocks (of `mamba_block_size` tokens) a step
/// reads and writes.
struct MambaBlockIndices {
  std::vector<std::int32_t> last_scheduled_token;     ///< [R]
  std::vector<std::int32_t> first_scheduled_token_p;  ///< [num_prefills]
  std::vector<std::int32_t> last_computed_token;      ///< [R], 0 where nothing is computed
  std::vector<std::int32_t> num_computed_tokens_p;    ///< [num_prefills]
};

/// The work list of the varlen causal convolution: program i handles tile `token_chunk_offset_ptr[i]` (of 8 tokens) of
/// prefill `batch_ptr[i]`; `nums` is the number of tiles of each prefill.
struct ConvProgramList {
  static constexpr int kTokenTile = 8;
  std::vector<std::int32_t> nums;
  std::vector<std::int32_t> batch_ptr;
  std::vector<std::int32_t> token_chunk_offset_ptr;
};

/// What every recurrent backend needs of a step (design, section 5). Decodes first.
struct MambaMetadata : LayerMetadata {
  int num_prefills = 0;
  int num_prefill_tokens = 0;
  int num_decodes = 0;
  int num_decode_tokens = 0;
  int num_reqs = 0;
  std::vector<std::int32_t> query_start_loc_p;     ///< [num_prefills + 1], rebased to 0
  std::vector<std::int32_t> query_start_loc_d;     ///< [num_decodes + 1]
  std::vector<std::uint8_t> has_initial_states_p;  ///< [num_prefills]
  std::vector<std::int32_t> state_read;            ///< [num_reqs] slots
  std::vector<std::int32_t> state_write;           ///< [num_reqs] slots
  std::vector<std::int32_t> num_computed_tokens;   ///< [num_reqs] before this step
  std::vector<std::int32_t> num_accepted_tokens;   ///< [num_decodes], at least 1
  std::vector<std::uint8_t> has_initial_states_d;  ///< [num_decodes], all 1: a decode always continues
  bool prep_initial_states = false;                ///< does any prefill continue
  ConvProgramList conv_programs;
  std::optional<MambaBlockIndices> block_indices;
  std::vector<SequenceWave> step_waves;     ///< tokens of the whole step
  std::vector<SequenceWave> prefill_waves;  ///< tokens counted from the first prefill
  SequenceWave step_whole;                  ///< the step in one, with snapshots on the way
  SequenceWave prefill_whole;               ///< its prefill part

  void list_arrays(StepArrays& arrays) const override;
  /// The step's waves for these operations: several where snapshots cut sequences.
  [[nodiscard]] std::span<const SequenceWave> waves(const Operations& ops) const;
  /// Those of its prefill part.
  [[nodiscard]] std::span<const SequenceWave> waves_p(const Operations& ops) const;
  /// The sequences of the prefill part, for a kernel.
  [[nodiscard]] SequenceBatch prefill_batch() const;
  /// The sequences of the decode part.
  [[nodiscard]] SequenceBatch decode_batch() const;
  [[nodiscard]] std::span<const std::int32_t> state_read_d() const;
  [[nodiscard]] std::span<const std::int32_t> state_write_d() const;
  [[nodiscard]] std::span<const std::int32_t> positions_d() const;
};

/// Builds the common part alone, for types that need nothing else.
class MambaMetadataBuilder final : public MetadataBuilder {
 public:
  [[nodiscard]] std::unique_ptr<LayerMetadata> build(const BatchLayout& batch) override;
};

/// Fills the common part. `mamba_block_size` > 0 builds the block indices too.
void fill_mamba_metadata(const BatchLayout& batch, int mamba_block_size, MambaMetadata& metadata);

}  // namespace krait
