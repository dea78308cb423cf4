#pragma once

#include <cstdint>
#include <vector>

#include "models/backends/layer_backend.h"

namespace krait {

/// What an attention backend needs of a step. The vectors of the batch layout are borrowed: they outlive the step.
struct AttentionMetadata : LayerMetadata {
  const BatchLayout* batch = nullptr;
  const BlockTable* block_table = nullptr;
  /// [T] page * block_size + offset of every new token; -1 for a replayed token, whose K and V are in a shared page
  /// already.
  std::vector<std::int64_t> slot_mapping;

  void list_arrays(StepArrays& arrays) const override { arrays.add(slot_mapping); }
};

/// Builds it for KV group `kv_group` (an index into BatchLayout::block_tables).
class AttentionMetadataBuilder final : public MetadataBuilder {
 public:
  AttentionMetadataBuilder(std::size_t kv_group, int block_size) : kv_group_(kv_group), block_size_(block_size) {}
  std::unique_ptr<LayerMetadata> build(const BatchLayout& batch) override;

 private:
  std::size_t kv_group_;
  int block_size_;
};

}  // namespace krait
