#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>

#include "kernels/cuda/stream.h"
#include "kernels/platform.h"

namespace krait::cuda {

/// The device did not do what it was asked: out of memory, a fault in a kernel, a lost device. After a fault in a
/// kernel nothing works any more.
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Work of a stream that was captured instead of done.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  /// One line a launch or copy.
  [[nodiscard]] virtual std::string listing() const = 0;
};

/// A place in a stream.
class DeviceEvent {
 public:
  virtual ~DeviceEvent() = default;
  /// Until all work before it is done. Throws DeviceError for what went wrong in it.
  virtual void wait() = 0;
};

/// One GPU and what its runtime offers, so that all above it also runs over an emulated one. Copies and fills are
/// ordered with the other work of their stream; host memory given to a copy stays valid until the stream was waited
/// for.
class Device {
 public:
  virtual ~Device() = default;

  /// Makes it the device that the calling thread's launches go to. The calls below do so themselves.
  virtual void make_current() const = 0;

  /// "NVIDIA H200".
  [[nodiscard]] virtual std::string name() const = 0;
  /// Compute capability, 90 for 9.0.
  [[nodiscard]] virtual int architecture() const = 0;
  [[nodiscard]] virtual int multiprocessors() const = 0;
  [[nodiscard]] virtual std::size_t free_memory() const = 0;

  /// Device memory, 256-byte aligned, contents undefined. Throws std::bad_alloc when there is none left.
  virtual Buffer allocate(std::size_t bytes) = 0;
  /// Memory of the host that the device can copy from and to without a detour.
  virtual Buffer allocate_pinned(std::size_t bytes) = 0;
  virtual std::unique_ptr<ReservedMemory> reserve(std::size_t capacity) = 0;

  virtual Stream create_stream() = 0;
  virtual void destroy_stream(Stream stream) = 0;
  /// Until all work in the stream is done. Throws DeviceError for what went wrong in it.
  virtual void wait(Stream stream) = 0;
  virtual std::unique_ptr<DeviceEvent> record_event(Stream stream) = 0;

  virtual void copy_to_device(void* to, const void* from, std::size_t bytes, Stream stream) = 0;
  virtual void copy_to_host(void* to, const void* from, std::size_t bytes, Stream stream) = 0;
  virtual void copy_on_device(void* to, const void* from, std::size_t bytes, Stream stream) = 0;

  /// What this thread puts into the stream from now on is captured. Nothing may be allocated or waited for until
  /// `end_capture`, or until `abandon_capture` where something went wrong.
  virtual void begin_capture(Stream stream) = 0;
  virtual std::unique_ptr<DeviceGraph> end_capture(Stream stream) = 0;
  virtual void abandon_capture(Stream stream) noexcept = 0;
  /// Puts the captured work into the stream.
  virtual void launch(const DeviceGraph& graph, Stream stream) = 0;
};

}  // namespace krait::cuda
