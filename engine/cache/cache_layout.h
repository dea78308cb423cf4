#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "kernels/dtype.h"

namespace krait {

/// The bytes of one KV group: a page holds `block_size` tokens of every layer of the group.
struct KvGroupLayout {
  std::string name;
  std::size_t page_bytes = 0;
  int sliding_window = 0;  ///< 0: every token is kept
};

/// Where float32 recurrent states lie in a slot, in bytes.
struct StateRange {
  std::size_t offset = 0;
  std::size_t bytes = 0;  ///< a multiple of 4
};

/// What the pools of one model look like. Derived from the model's cache groups; the scheduler and the pools know
/// nothing else of it.
struct CacheLayout {
  int block_size = 16;                   ///< tokens a page, the same in every KV group
  std::vector<KvGroupLayout> kv_groups;  ///< may be empty (pure Mamba)
  std::size_t slot_bytes = 0;  ///< one request's whole recurrent state; 0: the model has none (pure attention)
  std::vector<StateRange> float_states{};  ///< in a slot, ascending and apart
  /// What snapshots keep of `float_states`: kFloat32 the bits, so that a snapshot is a slot; a type of 16 bits less.
  DType snapshot_dtype = DType::kFloat32;
};

}  // namespace krait
