#pragma once

#include <cstdint>

#include "engine/cache/cache_layout.h"

namespace krait {

/// What must agree between the engine that copied pages and states out of its caches and the one that takes them in:
/// otherwise their bytes mean something else.
struct ContextIdentity {
  /// Of the model (config, weights) and of everything that changes its numbers: compute type, backends, instruction
  /// set.
  std::uint64_t model = 0;
  /// Of the types and shapes inside of pages and slots.
  std::uint64_t formats = 0;
  CacheLayout layout;

  /// Of `formats` and every size in `layout`.
  [[nodiscard]] std::uint64_t layout_hash() const;
};

}  // namespace krait
