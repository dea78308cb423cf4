#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/layers/attention_layer_base.h"
#include "models/layers/cache_spec.h"

namespace krait {

/// Layers with equal specs that are served by one backend: one metadata object, and one block table or state index,
/// serves them all.
struct CacheGroup {
  CacheSpec spec;
  const LayerBackend* backend = nullptr;
  std::vector<std::string> layer_names;
  std::vector<AttentionLayerBase*> layers;
  std::vector<std::size_t> spec_index;  ///< which of the layer's specs, one a layer
  int chunk_size = 0;                   ///< of Mamba-2 layers; 0: none stated
  std::optional<std::size_t> kv_group;  ///< index of the page pool of an attention group
  int block_size = 0;                   ///< tokens a page of an attention group

  [[nodiscard]] bool is_attention() const { return !std::holds_alternative<MambaSpec>(spec); }
};

/// Groups the layers in their order. Throws StartupError `Duplicate layer name: …`, and what selecting a backend
/// throws.
std::vector<CacheGroup> form_cache_groups(const std::vector<AttentionLayerBase*>& layers, int block_size);

}  // namespace krait
