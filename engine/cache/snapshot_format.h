#pragma once

#include <cstddef>

#include "engine/cache/cache_layout.h"

namespace krait {

/// Whether snapshots are smaller than slots and must be converted (`--mamba-snapshot-dtype`).
[[nodiscard]] bool packs_snapshots(const CacheLayout& layout);
/// Bytes of a snapshot: a slot's, with the float32 states in the snapshots' type.
[[nodiscard]] std::size_t snapshot_bytes(const CacheLayout& layout);

/// Converts a state of `layout.slot_bytes` bytes to a snapshot of `snapshot_bytes`: rounds to nearest even; what
/// float16 cannot hold becomes its largest number.
void pack_snapshot(const CacheLayout& layout, const std::byte* slot, std::byte* snapshot);
/// And back. What is not a float32 state comes back as it was.
void unpack_snapshot(const CacheLayout& layout, const std::byte* snapshot, std::byte* slot);

}  // namespace krait
