#include "models/backends/mamba_metadata.h"

#include <algorithm>

namespace krait {
namespace {

std::int32_t ceil_div(std::int32_t value, std::int32_t by) { return (value + by - 1) / by; }

MambaBlockIndices block_indices(const BatchLayout& batch, int block_size) {
  MambaBlockIndices indices;
  for (int r = 0; r < batch.num_reqs(); ++r) {
    const auto i = static_cast<std::size_t>(r);
    const std::int32_t computed = batch.num_computed_tokens[i];
    indices.last_scheduled_token.push_back(std::max(ceil_div(batch.seq_lens[i], block_size) - 1, 0));
    indices.last_computed_token.push_back(std::max(ceil_div(computed, block_size) - 1, 0));
    if (r < batch.num_decodes) continue;
    indices.first_scheduled_token_p.push_back(computed / block_size);
    indices.num_computed_tokens_p.push_back(computed);
  }
  return indices;
}

ConvProgramList conv_programs(std::span<const std::int32_t> query_start_loc) {
  ConvProgramList programs;
  for (std::size_t i = 0; i + 1 < query_start_loc.size(); ++i) {
    const std::int32_t tiles = ceil_div(query_start_loc[i + 1] - query_start_loc[i], ConvProgramList::kTokenTile);
    programs.nums.push_back(tiles);
    for (std::int32_t tile = 0; tile < tiles; ++tile) {
      programs.batch_ptr.push_back(static_cast<std::int32_t>(i));
      programs.token_chunk_offset_ptr.push_back(tile);
    }
  }
  return programs;
}

}  // namespace

SequenceBatch MambaMetadata::prefill_batch() const {
  const auto decodes = static_cast<std::size_t>(num_decodes);
  return {.query_start_loc = query_start_loc_p,
          .state_read = std::span(state_read).subspan(decodes),
          .state_write = std::span(state_write).subspan(decodes),
          .has_initial_state = has_initial_states_p};
}

SequenceBatch MambaMetadata::decode_batch() const {
  return {.query_start_loc = query_start_loc_d,
          .state_read = state_read_d(),
          .state_write = state_write_d(),
          .has_initial_state = has_initial_states_d};
}

std::span<const std::int32_t> MambaMetadata::state_read_d() const {
  return std::span(state_read).first(static_cast<std::size_t>(num_decodes));
}

std::span<const std::int32_t> MambaMetadata::state_write_d() const {
  return std::span(state_write).first(static_cast<std::size_t>(num_decodes));
}

std::span<const std::int32_t> MambaMetadata::positions_d() const {
  return std::span(num_computed_tokens).first(static_cast<std::size_t>(num_decodes));
}

std::span<const SequenceWave> MambaMetadata::waves(const Operations& ops) const {
  if (ops.leaves_snapshots()) return {&step_whole, 1};
  return step_waves;
}

std::span<const SequenceWave> MambaMetadata::waves_p(const Operations& ops) const {
  if (ops.leaves_snapshots()) return {&prefill_whole, 1};
  return prefill_waves;
}

void MambaMetadata::list_arrays(StepArrays& arrays) const {
  arrays.add(query_start_loc_p);
  arrays.add(query_start_loc_d);
  arrays.add(has_initial_states_p);
  arrays.add(has_initial_states_d);
  arrays.add(state_read);
  arrays.add(state_write);
  arrays.add(num_computed_tokens);
  for (const SequenceWave& wave : step_waves) wave.list_arrays(arrays);
  for (const SequenceWave& wave : prefill_waves) wave.list_arrays(arrays);
  step_whole.list_arrays(arrays);
  prefill_whole.list_arrays(arrays);
}

void fill_mamba_metadata(const BatchLayout& batch, int mamba_block_size, MambaMetadata& metadata) {
  metadata.num_prefills = batch.num_prefills;
  metadata.num_prefill_tokens = batch.num_prefill_tokens;
  metadata.num_decodes = batch.num_decodes;
  metadata.num_decode_tokens = batch.num_decode_tokens;
  metadata.num_reqs = batch.num_reqs();
  const auto decodes = static_cast<std::size_t>(batch.num_decodes);
  const auto& starts = batch.query_start_loc;
  metadata.query_start_loc_d.assign(starts.begin(), starts.begin() + batch.num_decodes + 1);
  for (std::size_t i = decodes; i < starts.size(); ++i) {
    metadata.query_start_loc_p.push_back(starts[i] - starts[decodes]);
  }
  for (std::size_t i = decodes; i < batch.num_computed_tokens.size(); ++i) {
    metadata.has_initial_states_p.push_back(batch.num_computed_tokens[i] > 0 ? 1 : 0);
  }
  metadata.prep_initial_states = std::any_of(metadata.has_initial_states_p.begin(), metadata.has_initial_states_p.end(),
                                             [](std::uint8_t has) { return has != 0; });
  metadata.state_read = batch.state_read;
  metadata.state_write = batch.state_write;
  metadata.num_computed_tokens = batch.num_computed_tokens;
  metadata.has_initial_states_d.assign(decodes, 1);
  metadata.num_accepted_tokens = batch.num_accepted_tokens;
  if (metadata.num_accepted_tokens.empty()) metadata.num_accepted_tokens.assign(decodes, 1);
  metadata.conv_programs = conv_programs(metadata.query_start_loc_p);
  metadata.step_waves = make_sequence_waves(batch, 0);
  metadata.prefill_waves = make_sequence_waves(batch, batch.num_decodes);
  metadata.step_whole = make_whole_wave(batch, 0);
  metadata.prefill_whole = make_whole_wave(batch, batch.num_decodes);
  if (mamba_block_size > 0) metadata.block_indices = block_indices(batch, mamba_block_size);
}

std::unique_ptr<LayerMetadata> MambaMetadataBuilder::build(const BatchLayout& batch) {
  auto metadata = std::make_unique<MambaMetadata>();
  fill_mamba_metadata(batch, 0, *metadata);
  return metadata;
}

}  // namespace krait
