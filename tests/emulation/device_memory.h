#pragma once

#include <cstddef>
#include <memory>

#include "kernels/platform.h"

/// The memory of the emulated device. It is the host's own, so that kernels run on it as they are, but its pages may
/// only be touched while the device works: a host that follows a pointer into it ends with a segmentation fault, as it
/// would beside a GPU.
namespace krait::cuda::emulation {

/// The device works while one lives: a grid runs, or a copy. They nest.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
};

/// Addresses of which the first `size()` bytes, whole pages, are the device's memory; nobody may touch the others.
class DeviceMapping {
 public:
  /// Throws std::bad_alloc.
  explicit DeviceMapping(std::size_t capacity);
  ~DeviceMapping();
  DeviceMapping(const DeviceMapping&) = delete;
  DeviceMapping& operator=(const DeviceMapping&) = delete;

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  /// New memory reads as zero, as does memory that was given back by a smaller size before.
  void resize(std::size_t bytes);
  /// Whole pages inside these bytes lose what they hold, and read as zero.
  void drop(std::size_t offset, std::size_t bytes);

 private:
  friend class DeviceAccess;
  void protect(std::size_t begin, std::size_t end, bool accessible);

  std::byte* data_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
};

/// Buffers, begun as NaN in every float format. An address is never given out twice, and AddressSanitizer sees the
/// first byte past a buffer and every byte of one that is gone.
class DeviceHeap : public std::enable_shared_from_this<DeviceHeap> {
 public:
  DeviceHeap();
  ~DeviceHeap();
  DeviceHeap(const DeviceHeap&) = delete;
  DeviceHeap& operator=(const DeviceHeap&) = delete;

  /// 256-byte aligned. Throws std::bad_alloc.
  Buffer allocate(std::size_t bytes);

 private:
  DeviceMapping mapping_;
  std::size_t top_ = 0;
};

/// For the caches: committing makes pages accessible to the device.
std::unique_ptr<ReservedMemory> reserve_device_memory(std::size_t capacity);

}  // namespace krait::cuda::emulation
