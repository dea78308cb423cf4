#pragma once

#include <array>
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
  /// Null before the first `ensure`.
  [[nodiscard]] void* get() const { return buffer_.data.get(); }

 private:
  StepMemory& memory_;
  Buffer buffer_;
};

/// Pinned pieces of the host's for results on their way down, handed out in turns: a piece is whoever took it last but
/// one's no more.
class HostResults {
 public:
  explicit HostResults(Device& device) : device_(device) {}
  Buffer take(std::size_t bytes) {
    Buffer& piece = pieces_[next_];
    next_ = 1 - next_;
    if (piece.bytes < bytes) piece = device_.allocate_pinned(bytes + bytes / 4);
    return piece;
  }

 private:
  Device& device_;
  std::array<Buffer, 2> pieces_;
  std::size_t next_ = 0;
};

}  // namespace krait::cuda
