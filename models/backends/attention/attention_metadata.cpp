#include "models/backends/attention/attention_metadata.h"

namespace krait {

std::unique_ptr<LayerMetadata> AttentionMetadataBuilder::build(const BatchLayout& batch) {
  auto metadata = std::make_unique<AttentionMetadata>();
  metadata->batch = &batch;
  metadata->block_table = &batch.block_tables[kv_group_];
  const BlockTable& table = *metadata->block_table;
  metadata->slot_mapping.reserve(static_cast<std::size_t>(batch.num_tokens()));
  for (int r = 0; r < batch.num_reqs(); ++r) {
    const auto request = static_cast<std::size_t>(r);
    const std::int32_t* pages = table.pages.data() + request * static_cast<std::size_t>(table.max_blocks);
    const std::int32_t replayed = batch.num_replayed_tokens.empty() ? 0 : batch.num_replayed_tokens[request];
    const std::int32_t first = batch.num_computed_tokens[request];
    for (std::int32_t position = first; position < batch.seq_lens[request]; ++position) {
      const std::int64_t page = pages[position / block_size_];
      metadata->slot_mapping.push_back(position - first < replayed ? -1 : page * block_size_ + position % block_size_);
    }
  }
  return metadata;
}

}  // namespace krait
