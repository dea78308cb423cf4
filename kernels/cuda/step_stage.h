#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "kernels/cuda/device.h"

namespace krait::cuda {

/// Device copies of the small arrays that a step's operations get as host spans (slots, positions, block tables).
/// Layers of one group share their arrays: a span that was staged since the last `reset`, and whose content has not
/// changed, is not copied again. Staged copies live until `reset`, which needs the stream to have been waited for.
class StepStage {
 public:
  StepStage(Device& device, Stream stream) : device_(device), stream_(stream) {}

  /// The array on the device; null for an empty span.
  template <typename T>
  const T* on_device(std::span<const T> values) {
    return static_cast<const T*>(stage(std::as_bytes(values)));
  }
  void reset();

 private:
  /// Pinned host memory and its mirror on the device.
  struct Chunk {
    Buffer host;
    Buffer device;
    std::size_t used = 0;
  };
  struct Staged {
    const std::byte* host = nullptr;
    const void* device = nullptr;
    std::size_t bytes = 0;
  };
  const void* stage(std::span<const std::byte> bytes);
  Staged copy(std::span<const std::byte> bytes);

  Device& device_;
  Stream stream_;
  std::vector<Chunk> chunks_;
  std::size_t chunk_ = 0;
  std::map<const std::byte*, Staged> staged_;  ///< by the span's address
};

}  // namespace krait::cuda
