#include "tests/emulation/device_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

#include "kernels/result.h"
#include "tests/emulation/fiber.h"

namespace krait::cuda::emulation {
namespace {

std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

std::size_t page_size() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

/// All mappings, and how many accesses are alive.
struct Mappings {
  std::mutex mutex;
  std::vector<DeviceMapping*> all;
  int accesses = 0;
};

Mappings& mappings() {
  static auto* const instance = new Mappings;  // buffers may outlive static destructors
  return *instance;
}

class DeviceReservation final : public ReservedMemory {
 public:
  explicit DeviceReservation(std::size_t capacity) : mapping_(capacity) {}

  [[nodiscard]] std::byte* data() const override { return mapping_.data(); }
  [[nodiscard]] std::size_t capacity() const override { return mapping_.capacity(); }
  [[nodiscard]] std::size_t committed() const override { return mapping_.size(); }
  [[nodiscard]] bool host_accessible() const override { return false; }

  [[nodiscard]] bool commit(std::size_t bytes) override {
    if (bytes > capacity()) return false;
    mapping_.resize(std::max(bytes, committed()));
    return true;
  }
  void shrink(std::size_t bytes) override { mapping_.resize(std::min(bytes, committed())); }
  void discard(std::size_t offset, std::size_t bytes) override { mapping_.drop(offset, bytes); }

  void read(std::size_t offset, std::size_t bytes, std::byte* to) const override {
    const DeviceAccess access;
    ReservedMemory::read(offset, bytes, to);
  }
  void write(std::size_t offset, std::size_t bytes, const std::byte* from) override {
    const DeviceAccess access;
    ReservedMemory::write(offset, bytes, from);
  }

 private:
  DeviceMapping mapping_;
};

}  // namespace

DeviceAccess::DeviceAccess() {
  Mappings& known = mappings();
  const std::lock_guard lock(known.mutex);
  if (known.accesses++ > 0) return;
  for (DeviceMapping* mapping : known.all) mapping->protect(0, mapping->size_, true);
}

DeviceAccess::~DeviceAccess() {
  Mappings& known = mappings();
  const std::lock_guard lock(known.mutex);
  if (--known.accesses > 0) return;
  for (DeviceMapping* mapping : known.all) mapping->protect(0, mapping->size_, false);
}

DeviceMapping::DeviceMapping(std::size_t capacity)
    : capacity_(round_up(std::max<std::size_t>(capacity, 1), page_size())) {
  void* memory = mmap(nullptr, capacity_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::byte*>(memory);
  const std::lock_guard lock(mappings().mutex);
  mappings().all.push_back(this);
}

DeviceMapping::~DeviceMapping() {
  const std::lock_guard lock(mappings().mutex);
  std::erase(mappings().all, this);
  munmap(data_, capacity_);
}

void DeviceMapping::resize(std::size_t bytes) {
  const std::size_t size = round_up(bytes, page_size());
  if (size > capacity_) throw std::bad_alloc();
  if (size < size_) drop(size, size_ - size);
  const std::lock_guard lock(mappings().mutex);
  // Nothing to do while no access is alive: all of it is inaccessible then.
  if (mappings().accesses > 0) protect(std::min(size, size_), std::max(size, size_), size > size_);
  size_ = size;
}

void DeviceMapping::drop(std::size_t offset, std::size_t bytes) {
  const std::size_t begin = round_up(offset, page_size());
  const std::size_t end = (offset + bytes) / page_size() * page_size();
  if (begin < end) madvise(data_ + begin, end - begin, MADV_DONTNEED);
}

void DeviceMapping::protect(std::size_t begin, std::size_t end, bool accessible) {
  if (begin == end) return;
  if (mprotect(data_ + begin, end - begin, accessible ? PROT_READ | PROT_WRITE : PROT_NONE) != 0) {
    KRAIT_BUG("the emulated device's memory cannot be protected");
  }
}

// Far more addresses than memory: they are never used twice.
DeviceHeap::DeviceHeap() : mapping_(std::size_t{64} << 30) {}

DeviceHeap::~DeviceHeap() { unpoison(mapping_.data(), mapping_.size()); }

Buffer DeviceHeap::allocate(std::size_t bytes) {
  constexpr std::size_t kAlignment = 256;
  constexpr std::size_t kRedZone = 256;
  const std::size_t begin = top_;
  // A buffer that would not fit must not wrap round to one that does.
  if (bytes > mapping_.capacity() - begin) throw std::bad_alloc();
  const std::size_t end = round_up(begin + bytes, kAlignment) + kRedZone;
  mapping_.resize(end);
  top_ = end;
  std::byte* data = mapping_.data() + begin;
  {
    const DeviceAccess access;
    std::memset(data, 0xFF, bytes);
  }
  poison(data + bytes, end - begin - bytes);
  const auto free = [heap = shared_from_this(), begin, bytes](std::byte* memory) {
    poison(memory, bytes);
    heap->mapping_.drop(begin, bytes);
  };
  return Buffer{.data = std::shared_ptr<std::byte>(data, free), .bytes = bytes};
}

std::unique_ptr<ReservedMemory> reserve_device_memory(std::size_t capacity) {
  return std::make_unique<DeviceReservation>(capacity);
}

}  // namespace krait::cuda::emulation
