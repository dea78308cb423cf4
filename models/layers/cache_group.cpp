#include "models/layers/cache_group.h"

#include <algorithm>
#include <set>

namespace krait {
namespace {

CacheGroup& group_for(std::vector<CacheGroup>& groups, const CacheSpec& spec, const LayerBackend* backend,
                      int chunk_size) {
  const auto found = std::find_if(groups.begin(), groups.end(), [&](const CacheGroup& group) {
    return group.spec == spec && group.backend == backend && group.chunk_size == chunk_size;
  });
  if (found != groups.end()) return *found;
  groups.push_back({.spec = spec,
                    .backend = backend,
                    .layer_names = {},
                    .layers = {},
                    .spec_index = {},
                    .chunk_size = chunk_size,
                    .kv_group = std::nullopt,
                    .block_size = 0});
  return groups.back();
}

}  // namespace

std::vector<CacheGroup> form_cache_groups(const std::vector<AttentionLayerBase*>& layers, int block_size) {
  std::set<std::string> names;
  std::vector<CacheGroup> groups;
  for (AttentionLayerBase* layer : layers) {
    if (!names.insert(layer->name()).second) throw StartupError("Duplicate layer name: " + layer->name());
    const std::vector<CacheSpec> specs = layer->cache_specs();
    for (std::size_t i = 0; i < specs.size(); ++i) {
      const LayerBackend* backend = layer->get_attn_backend(i);
      layer->bind_backend(i, backend);
      CacheGroup& group = group_for(groups, specs[i], backend, layer->chunk_size());
      layer->set_cache_group(i, static_cast<std::size_t>(&group - groups.data()));
      group.layer_names.push_back(layer->name());
      group.layers.push_back(layer);
      group.spec_index.push_back(i);
    }
  }
  std::size_t kv_groups = 0;
  for (CacheGroup& group : groups) {
    if (!group.is_attention()) continue;
    group.kv_group = kv_groups++;
    group.block_size = block_size;
  }
  return groups;
}

}  // namespace krait
