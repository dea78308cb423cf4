#include "kernels/cpu/cpu_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <new>
#include <string>
#include <utility>

namespace krait::cpu {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }
std::size_t page_size() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

/// MADV_POPULATE_WRITE of Linux 5.14; headers may be older than the kernel.
constexpr int kPopulateWrite = 23;

bool kernel_populates() {
  static const bool known = madvise(nullptr, 0, kPopulateWrite) == 0;
  return known;
}

class MappedMemory final : public ReservedMemory {
 public:
  explicit MappedMemory(std::size_t capacity) : capacity_(round_up(std::max<std::size_t>(capacity, 1), page_size())) {
    // Begun where a huge page may begin, or the first and every one across a commit's border would be small ones.
    const std::size_t mapped = capacity_ + kHugePage;
    void* base = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) throw std::bad_alloc();
    const std::size_t skipped = kHugePage - reinterpret_cast<std::uintptr_t>(base) % kHugePage;
    base_ = static_cast<std::byte*>(base) + skipped;
    munmap(base, skipped);
    if (skipped < kHugePage) munmap(base_ + capacity_, kHugePage - skipped);
    madvise(base_, capacity_, MADV_HUGEPAGE);
  }
  ~MappedMemory() override { munmap(base_, capacity_); }
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;

  [[nodiscard]] std::byte* data() const override { return base_; }
  [[nodiscard]] std::size_t capacity() const override { return capacity_; }
  [[nodiscard]] std::size_t committed() const override { return committed_; }

  [[nodiscard]] bool commit(std::size_t bytes) override {
    if (bytes > capacity_) return false;
    const std::size_t wanted = round_up(bytes, page_size());
    if (wanted <= committed_) return true;
    if (mprotect(base_ + committed_, wanted - committed_, PROT_READ | PROT_WRITE) != 0) return false;
    committed_ = wanted;
    return true;
  }

  void shrink(std::size_t bytes) override {
    const std::size_t kept = round_up(bytes, page_size());
    if (kept >= committed_) return;
    // The pages are dropped, so that they read as zero when they come back; first made inaccessible, so that nobody
    // populates them again.
    mprotect(base_ + kept, committed_ - kept, PROT_NONE);
    madvise(base_ + kept, committed_ - kept, MADV_DONTNEED);
    committed_ = kept;
  }

  void discard(std::size_t offset, std::size_t bytes) override {
    const auto [begin, size] = whole_pages(offset, bytes);
    if (size > 0) madvise(begin, size, MADV_DONTNEED);
  }

  [[nodiscard]] bool can_populate() const override { return kernel_populates(); }

  void populate(std::size_t offset, std::size_t bytes) override {
    const auto [begin, size] = whole_pages(offset, bytes);
    // The kernel looks at the pages' protection under its own lock, so nothing is lost to a race with the owner.
    if (size > 0 && kernel_populates()) madvise(begin, size, kPopulateWrite);
  }

  void set_read_only(std::size_t offset, std::size_t bytes, bool read_only) override {
    const auto [begin, size] = whole_pages(offset, bytes);
    if (size > 0) mprotect(begin, size, read_only ? PROT_READ : PROT_READ | PROT_WRITE);
  }

 private:
  /// The pages of the system that lie wholly in these bytes.
  [[nodiscard]] std::pair<std::byte*, std::size_t> whole_pages(std::size_t offset, std::size_t bytes) const {
    const std::size_t begin = round_up(offset, page_size());
    const std::size_t end = (offset + bytes) / page_size() * page_size();
    return {base_ + begin, end - std::min(begin, end)};
  }

  std::byte* base_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t committed_ = 0;
};

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

/// A cgroup file with one number; kUnlimited for "max" or no file.
std::size_t read_limit(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  if (!(file >> text) || text == "max") return kUnlimited;
  return std::strtoull(text.c_str(), nullptr, 10);
}

std::size_t machine_available() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::size_t kilobytes = 0;
  while (file >> key >> kilobytes) {
    if (key == "MemAvailable:") return kilobytes * 1024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return kUnlimited;
}

/// Page cache that the group can drop counts as free, as it does in MemAvailable.
std::size_t reclaimable(const std::string& directory) {
  std::ifstream file(directory + "/memory.stat");
  std::string key;
  std::size_t value = 0;
  while (file >> key >> value) {
    if (key == "inactive_file") return value;
  }
  return 0;
}

std::size_t group_available(const std::string& directory) {
  const std::size_t limit = read_limit(directory + "/memory.max");
  const std::size_t current = read_limit(directory + "/memory.current");
  if (limit == kUnlimited || current == kUnlimited) return kUnlimited;
  const std::size_t used = current - std::min(current, reclaimable(directory));
  return limit - std::min(limit, used);
}

/// The path of this process's cgroup v2 ("0::/system.slice/…"), "/" inside a container.
std::string own_group() {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("0::", 0) == 0) return line.substr(3);
  }
  return "/";
}

}  // namespace

Buffer allocate_buffer(std::size_t bytes) {
  const bool large = bytes >= kHugePage;
  const std::size_t alignment = large ? kHugePage : 64;
  const std::size_t size = round_up(std::max<std::size_t>(bytes, 1), alignment);
  void* data = std::aligned_alloc(alignment, size);
  if (data == nullptr) throw std::bad_alloc();
  if (large) madvise(data, size, MADV_HUGEPAGE);
  return Buffer{.data = std::shared_ptr<void>(data, std::free), .bytes = bytes};
}

std::unique_ptr<ReservedMemory> reserve_memory(std::size_t capacity) {
  return std::make_unique<MappedMemory>(capacity);
}

std::size_t available_memory() {
  std::size_t least = machine_available();
  std::string group = own_group();
  for (;;) {
    least = std::min(least, group_available("/sys/fs/cgroup" + group));
    const std::size_t slash = group.find_last_of('/');
    if (group.empty() || slash == std::string::npos) return least;
    group.resize(slash);
  }
}

}  // namespace krait::cpu
