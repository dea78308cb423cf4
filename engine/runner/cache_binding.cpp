#include "engine/runner/cache_binding.h"

#include "engine/cache/cache_pools.h"

namespace krait {
namespace {

/// Bytes of one layer's part of a page: K and V (or the latent rows) of `block_size` tokens.
std::size_t page_bytes_of_layer(const CacheGroup& group, int block_size) {
  return static_cast<std::size_t>(block_size) * bytes_per_token(group.spec);
}

int window_of(const CacheSpec& spec) {
  const auto* sliding = std::get_if<SlidingWindowSpec>(&spec);
  return sliding == nullptr ? 0 : sliding->window;
}

void bind_kv(const CacheGroup& group, ItemPool& pages) {
  const std::size_t layer_bytes = page_bytes_of_layer(group, group.block_size);
  for (std::size_t i = 0; i < group.layers.size(); ++i) {
    KvCacheView view;
    view.base = pages.base() + i * layer_bytes;
    view.page_stride = pages.item_bytes();
    view.block_size = group.block_size;
    if (const auto* full = std::get_if<FullAttentionSpec>(&group.spec)) {
      view.value_offset = layer_bytes / 2;
      view.kv_heads = full->kv_heads;
      view.head_dim = full->head_dim;
      view.dtype = full->dtype;
    } else if (const auto* sliding = std::get_if<SlidingWindowSpec>(&group.spec)) {
      view.value_offset = layer_bytes / 2;
      view.kv_heads = sliding->kv_heads;
      view.head_dim = sliding->head_dim;
      view.dtype = sliding->dtype;
    } else if (const auto* mla = std::get_if<MlaSpec>(&group.spec)) {
      view.kv_heads = 1;
      view.head_dim = mla->latent_dim + mla->rope_dim;
      view.value_dim = mla->latent_dim;
      view.dtype = mla->dtype;
    }
    group.layers[i]->bind_cache(group.spec_index[i], view);
  }
}

/// Binds a recurrent group whose first layer's state starts `offset` bytes into a slot, and counts its layers.
void bind_state(const CacheGroup& group, ItemPool& slots, std::size_t offset, StateRounding& rounding) {
  const auto& spec = std::get<MambaSpec>(group.spec);
  for (std::size_t i = 0; i < group.layers.size(); ++i, offset += bytes_per_request(group.spec)) {
    StateCacheView view;
    view.slot_stride = slots.item_bytes();
    view.rounding = rounding;
    ++rounding.layer;
    for (std::size_t t = 0; t < spec.tensors.size(); ++t) {
      std::byte* data = slots.base() + offset + state_tensor_offset(spec, t);
      const bool conv = spec.tensors[t].role == StateTensorSpec::Role::kConv;
      if (conv && view.conv != nullptr) continue;  // the first; `conv_tensor` finds the others
      (conv ? view.conv : view.recurrent) = data;
      (conv ? view.conv_dtype : view.recurrent_dtype) = spec.tensors[t].dtype;
    }
    group.layers[i]->bind_cache(group.spec_index[i], view);
  }
}

void add_states(const CacheGroup& group, CacheLayout& layout) {
  const auto& spec = std::get<MambaSpec>(group.spec);
  for (std::size_t i = 0; i < group.layers.size(); ++i, layout.slot_bytes += bytes_per_request(group.spec)) {
    for (std::size_t t = 0; t < spec.tensors.size(); ++t) {
      const StateTensorSpec& tensor = spec.tensors[t];
      if (tensor.role != StateTensorSpec::Role::kRecurrent || tensor.dtype != DType::kFloat32) continue;
      layout.float_states.push_back({.offset = layout.slot_bytes + state_tensor_offset(spec, t),
                                     .bytes = static_cast<std::size_t>(tensor.shape.elements()) * sizeof(float)});
    }
  }
}

}  // namespace

CacheLayout make_cache_layout(const std::vector<CacheGroup>& groups, int block_size) {
  CacheLayout layout;
  layout.block_size = block_size;
  for (const CacheGroup& group : groups) {
    if (group.is_attention()) {
      layout.kv_groups.push_back({.name = kind_of(group.spec),
                                  .page_bytes = group.layers.size() * page_bytes_of_layer(group, block_size),
                                  .sliding_window = window_of(group.spec)});
    } else {
      add_states(group, layout);
    }
  }
  return layout;
}

void bind_caches(const std::vector<CacheGroup>& groups, CachePools& pools, StateRounding rounding) {
  std::size_t slot_offset = 0;
  for (const CacheGroup& group : groups) {
    if (group.is_attention()) {
      bind_kv(group, pools.pages(*group.kv_group));
    } else {
      bind_state(group, *pools.slots(), slot_offset, rounding);
      slot_offset += group.layers.size() * bytes_per_request(group.spec);
    }
  }
}

}  // namespace krait
