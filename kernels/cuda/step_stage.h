#pragma once

#include <array>
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
/// since the last `reset` or step, and whose content has not changed, is not copied again.
///
/// Two steps may be under way: what the host wrote for one is not written over while the next is staged.
class StepStage {
 public:
  StepStage(Device& device, StepMemory& memory, Stream stream) : device_(device), memory_(memory), stream_(stream) {}

  /// Brings a step's arrays to their places, which depend on their sizes alone. Ends the places of others;
  /// copies for the step before the last one must be done.
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
  /// What the host writes for one step.
  struct Side {
    Buffer block;               ///< pinned: the step's arrays
    std::vector<Chunk> chunks;  ///< of other spans
    std::size_t chunk = 0;      ///< the one that is being filled
  };
  void place(const StepArrays& arrays);
  void copy(const StepArrays& arrays);
  const void* stage(std::span<const std::byte> bytes);
  [[nodiscard]] const void* find_placed(std::span<const std::byte> bytes) const;
  Staged copy(std::span<const std::byte> bytes);
  void forget(Side& side);

  Device& device_;
  StepMemory& memory_;
  Stream stream_;
  bool recording_ = false;
  Buffer block_;                               ///< the step's arrays
  std::map<const std::byte*, Staged> placed_;  ///< by their address
  std::vector<std::size_t> sizes_;             ///< of all of them
  std::array<Side, 2> sides_;
  std::size_t side_ = 0;
  std::map<const std::byte*, Staged> staged_;  ///< other spans, by their address
};

}  // namespace krait::cuda
