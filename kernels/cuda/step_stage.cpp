#include "kernels/cuda/step_stage.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <stdexcept>

namespace krait::cuda {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;
constexpr std::size_t kAlignment = 16;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

/// Calls `each(array, offset)` for every array that holds something, and returns the bytes of all.
template <typename Fn>
std::size_t lay_out(const StepArrays& arrays, Fn each) {
  std::size_t offset = 0;
  for (const std::span<const std::byte> array : arrays.all()) {
    if (!array.empty()) each(array, offset);
    offset += aligned(array.size());
  }
  return offset;
}

}  // namespace

void StepStage::forget(Side& side) {
  staged_.clear();
  side.chunk = 0;
  for (Chunk& chunk : side.chunks) chunk.used = 0;
}

void StepStage::place(const StepArrays& arrays) {
  const std::size_t bytes = lay_out(arrays, [](std::span<const std::byte>, std::size_t) {});
  if (bytes > block_.bytes) {
    block_ = {};
    block_ = memory_.allocate(std::max(2 * bytes, kChunk));
  }
  placed_.clear();
  sizes_.clear();
  for (const std::span<const std::byte> array : arrays.all()) sizes_.push_back(array.size());
  const auto* device = static_cast<const std::byte*>(block_.data.get());
  lay_out(arrays, [&](std::span<const std::byte> array, std::size_t offset) {
    placed_[array.data()] = {.host = array.data(), .device = device + offset, .bytes = array.size()};
  });
}

void StepStage::copy(const StepArrays& arrays) {
  Buffer& pinned = sides_[side_].block;
  if (pinned.bytes < block_.bytes) pinned = device_.allocate_pinned(block_.bytes);
  auto* host = static_cast<std::byte*>(pinned.data.get());
  const std::size_t bytes = lay_out(arrays, [&](std::span<const std::byte> array, std::size_t offset) {
    std::memcpy(host + offset, array.data(), array.size());
  });
  device_.copy_to_device(block_.data.get(), host, bytes, stream_);
}

void StepStage::stage_together(const StepArrays& arrays) {
  side_ = 1 - side_;
  forget(sides_[side_]);
  place(arrays);
  copy(arrays);
}

void StepStage::begin_recording(const StepArrays& arrays) {
  place(arrays);
  recording_ = true;
}

void StepStage::end_recording() {
  recording_ = false;
  placed_.clear();
  sizes_.clear();
}

void StepStage::reset() {
  placed_.clear();
  sizes_.clear();
  for (Side& side : sides_) forget(side);
}

const void* StepStage::find_placed(std::span<const std::byte> bytes) const {
  auto after = placed_.upper_bound(bytes.data());
  if (after == placed_.begin()) return nullptr;
  const Staged& array = std::prev(after)->second;
  const auto offset = static_cast<std::size_t>(bytes.data() - array.host);
  if (offset + bytes.size() > array.bytes) return nullptr;
  return static_cast<const std::byte*>(array.device) + offset;
}

const void* StepStage::stage(std::span<const std::byte> bytes) {
  if (bytes.empty()) return nullptr;
  if (const void* placed = find_placed(bytes)) return placed;
  if (recording_) throw std::logic_error("an operation that is recorded was given an array that is none of its step's");
  Staged& known = staged_[bytes.data()];
  const bool same = known.device != nullptr && known.bytes == bytes.size() &&
                    std::memcmp(known.host, bytes.data(), bytes.size()) == 0;
  if (!same) known = copy(bytes);
  return known.device;
}

StepStage::Staged StepStage::copy(std::span<const std::byte> bytes) {
  const std::size_t wanted = aligned(bytes.size());
  Side& side = sides_[side_];
  const auto is_full = [&](const Chunk& chunk) { return chunk.used + wanted > chunk.host.bytes; };
  while (side.chunk < side.chunks.size() && is_full(side.chunks[side.chunk])) ++side.chunk;
  if (side.chunk == side.chunks.size()) {
    const std::size_t size = std::max(wanted, kChunk);
    side.chunks.push_back({.host = device_.allocate_pinned(size), .device = device_.allocate(size)});
  }
  Chunk& chunk = side.chunks[side.chunk];
  std::byte* host = static_cast<std::byte*>(chunk.host.data.get()) + chunk.used;
  std::byte* device = static_cast<std::byte*>(chunk.device.data.get()) + chunk.used;
  chunk.used += wanted;
  std::memcpy(host, bytes.data(), bytes.size());
  device_.copy_to_device(device, host, bytes.size(), stream_);
  return {.host = host, .device = device, .bytes = bytes.size()};
}

}  // namespace krait::cuda
