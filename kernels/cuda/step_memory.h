#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/device.h"

namespace krait::cuda {

/// Device memory that the operations of one queue keep from step to step. A piece that is replaced by a larger one
/// moves; who keeps addresses compares `generation`, which every allocation changes.
class StepMemory {
 public:
  explicit StepMemory(Device& device) : device_(device) {}
  Buffer allocate(std::size_t bytes) {
    ++generation_;
    return device_.allocate(bytes);
  }
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  Device& device_;
  std::uint64_t generation_ = 0;
};

/// A piece that grows to the most that was asked for. What it held is lost when it grows.
class DeviceScratch {
 public:
  explicit DeviceScratch(StepMemory& memory) : memory_(memory) {}
  void* ensure(std::size_t bytes) {
    if (bytes > buffer_.bytes) {
      buffer_ = {};
      buffer_ = memory_.allocate(bytes + bytes / 4);
    }
    return buffer_.data.get();
  }

 private:
  StepMemory& memory_;
  Buffer buffer_;
};

}  // namespace krait::cuda
