#pragma once

#include <vector>

#include "engine/cache/cache_layout.h"
#include "models/layers/cache_group.h"

namespace krait {

class CachePools;

/// The page and slot sizes that serve these groups. Every recurrent layer has its place in the one slot, in the order
/// of the groups; every attention layer in the pages of its group's pool.
CacheLayout make_cache_layout(const std::vector<CacheGroup>& groups, int block_size);

/// Tells every layer where its part of the pools lies, and how its states are rounded: recurrent layers are numbered
/// in the order of the slot.
void bind_caches(const std::vector<CacheGroup>& groups, CachePools& pools, StateRounding rounding);

}  // namespace krait
