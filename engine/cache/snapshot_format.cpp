#include "engine/cache/snapshot_format.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace krait {
namespace {

constexpr float kLargestFloat16 = 65504.0F;

std::uint16_t to_half(float value) {
  return float_to_float16(std::clamp(value, -kLargestFloat16, kLargestFloat16));  // NaN stays NaN
}

template <auto kConvert>
void narrow(const std::byte* from, std::size_t count, std::byte* to) {
  for (std::size_t i = 0; i < count; ++i) {
    float value = 0;
    std::memcpy(&value, from + i * sizeof(float), sizeof(value));
    const std::uint16_t bits = kConvert(value);
    std::memcpy(to + i * sizeof(bits), &bits, sizeof(bits));
  }
}

template <auto kConvert>
void widen(const std::byte* from, std::size_t count, std::byte* to) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, from + i * sizeof(bits), sizeof(bits));
    const float value = kConvert(bits);
    std::memcpy(to + i * sizeof(float), &value, sizeof(value));
  }
}

/// Calls `same(slot offset, snapshot offset, bytes)` for what both have alike and `converted(…, elements)` for the
/// rest.
template <typename Same, typename Converted>
void walk(const CacheLayout& layout, const Same& same, const Converted& converted) {
  std::size_t slot = 0;
  std::size_t snapshot = 0;
  for (const StateRange& range : layout.float_states) {
    const std::size_t between = range.offset - slot;
    if (between > 0) same(slot, snapshot, between);
    snapshot += between;
    const std::size_t elements = range.bytes / sizeof(float);
    converted(range.offset, snapshot, elements);
    snapshot += elements * sizeof(std::uint16_t);
    slot = range.offset + range.bytes;
  }
  if (slot < layout.slot_bytes) same(slot, snapshot, layout.slot_bytes - slot);
}

}  // namespace

bool packs_snapshots(const CacheLayout& layout) {
  return layout.snapshot_dtype != DType::kFloat32 && !layout.float_states.empty();
}

std::size_t snapshot_bytes(const CacheLayout& layout) {
  std::size_t bytes = layout.slot_bytes;
  if (!packs_snapshots(layout)) return bytes;
  for (const StateRange& range : layout.float_states) bytes -= range.bytes / 2;
  return bytes;
}

void pack_snapshot(const CacheLayout& layout, const std::byte* slot, std::byte* snapshot) {
  walk(
      layout,
      [&](std::size_t from, std::size_t to, std::size_t bytes) { std::memcpy(snapshot + to, slot + from, bytes); },
      [&](std::size_t from, std::size_t to, std::size_t elements) {
        if (layout.snapshot_dtype == DType::kFloat16) {
          narrow<to_half>(slot + from, elements, snapshot + to);
        } else {
          narrow<float_to_bfloat16>(slot + from, elements, snapshot + to);
        }
      });
}

void unpack_snapshot(const CacheLayout& layout, const std::byte* snapshot, std::byte* slot) {
  walk(
      layout,
      [&](std::size_t to, std::size_t from, std::size_t bytes) { std::memcpy(slot + to, snapshot + from, bytes); },
      [&](std::size_t to, std::size_t from, std::size_t elements) {
        if (layout.snapshot_dtype == DType::kFloat16) {
          widen<float16_to_float>(snapshot + from, elements, slot + to);
        } else {
          widen<bfloat16_to_float>(snapshot + from, elements, slot + to);
        }
      });
}

}  // namespace krait
