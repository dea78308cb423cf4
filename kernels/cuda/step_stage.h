#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "kernels/cuda/device.h"
#include "kernels/cuda/step_memory.h"
#include "kernels/operation_graph.h"

namespace krait::cuda {

/// Device copies of the small arrays that a step's operations get as host spans (slots, positions, block tables).
///
/// The arrays of a step are known before its first operation: they have places one after another in one block, whose
/// address stays, and go there by one copy. What else an operation needs is copied when it asks; a span that was copied
/// since the last `reset`, and whose content has not changed, is not copied again.
class StepStage {
 public:
  StepStage(Device& device, StepMemory& memory, Stream stream) : device_(device), memory_(memory), stream_(stream) {}

  /// Brings a step's arrays to their places, which depend on their sizes alone. Ends the places of others.
  void stage_together(const StepArrays& arrays);
  /// Bytes of each array that was placed, in their order; none after `reset`.
  [[nodiscard]] const std::vector<std::size_t>& sizes() const { return sizes_; }

  /// The array on the device; null for an empty span. It lives until `reset` or, in an array of the step, until the
  /// next step's are staged.
  template <typename T>
  const T* on_device(std::span<const T> values) {
    return static_cast<const T*>(stage(std::as_bytes(values)));
  }
  /// Until `end_recording` these arrays have places, without content, and nothing else is found: a graph must not keep
  /// the address of anything else. Then no array has a place.
  void begin_recording(const StepArrays& arrays);
  void end_recording();
  /// Forgets all arrays; the stream must have been waited for.
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
  void place(const StepArrays& arrays);
  void copy(const StepArrays& arrays);
  const void* stage(std::span<const std::byte> bytes);
  [[nodiscard]] const void* find_placed(std::span<const std::byte> bytes) const;
  Staged copy(std::span<const std::byte> bytes);
  void reserve_block(std::size_t bytes);

  Device& device_;
  StepMemory& memory_;
  Stream stream_;
  bool recording_ = false;
  Chunk block_;                                ///< of the step's arrays
  std::map<const std::byte*, Staged> placed_;  ///< the step's arrays, by their address
  std::vector<std::size_t> sizes_;             ///< of all of them
  std::vector<Chunk> chunks_;
  std::size_t chunk_ = 0;
  std::map<const std::byte*, Staged> staged_;  ///< other spans, by their address
};

}  // namespace krait::cuda
