#include "kernels/cuda/step_stage.h"

#include <algorithm>
#include <cstring>

namespace krait::cuda {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;
constexpr std::size_t kAlignment = 16;

}  // namespace

void StepStage::reset() {
  staged_.clear();
  chunk_ = 0;
  for (Chunk& chunk : chunks_) chunk.used = 0;
}

const void* StepStage::stage(std::span<const std::byte> bytes) {
  if (bytes.empty()) return nullptr;
  Staged& known = staged_[bytes.data()];
  const bool same = known.device != nullptr && known.bytes == bytes.size() &&
                    std::memcmp(known.host, bytes.data(), bytes.size()) == 0;
  if (!same) known = copy(bytes);
  return known.device;
}

StepStage::Staged StepStage::copy(std::span<const std::byte> bytes) {
  const std::size_t wanted = (bytes.size() + kAlignment - 1) / kAlignment * kAlignment;
  while (chunk_ < chunks_.size() && chunks_[chunk_].used + wanted > chunks_[chunk_].host.bytes) ++chunk_;
  if (chunk_ == chunks_.size()) {
    const std::size_t size = std::max(wanted, kChunk);
    chunks_.push_back({.host = device_.allocate_pinned(size), .device = device_.allocate(size)});
  }
  Chunk& chunk = chunks_[chunk_];
  std::byte* host = static_cast<std::byte*>(chunk.host.data.get()) + chunk.used;
  std::byte* device = static_cast<std::byte*>(chunk.device.data.get()) + chunk.used;
  chunk.used += wanted;
  std::memcpy(host, bytes.data(), bytes.size());
  device_.copy_to_device(device, host, bytes.size(), stream_);
  return {.host = host, .device = device, .bytes = bytes.size()};
}

}  // namespace krait::cuda
