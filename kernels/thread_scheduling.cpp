#include "kernels/thread_scheduling.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

namespace krait {
namespace {

/// As many bits as the kernel wants: `cpu_set_t` itself ends at 1,024 CPUs.
class CpuBits {
 public:
  explicit CpuBits(int count) : bytes_(CPU_ALLOC_SIZE(static_cast<std::size_t>(count))), set_(CPU_ALLOC(count)) {
    CPU_ZERO_S(bytes_, set_.get());
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] cpu_set_t* get() { return set_.get(); }

 private:
  struct Free {
    void operator()(cpu_set_t* set) const { CPU_FREE(set); }
  };
  std::size_t bytes_;
  std::unique_ptr<cpu_set_t, Free> set_;
};

bool set_cpus(pid_t thread, std::span<const int> cpus) {
  if (cpus.empty()) return true;
  CpuBits bits(*std::ranges::max_element(cpus) + 1);
  for (const int cpu : cpus) CPU_SET_S(static_cast<std::size_t>(cpu), bits.bytes(), bits.get());
  return sched_setaffinity(thread, bits.bytes(), bits.get()) == 0;
}

}  // namespace

std::vector<int> thread_cpus() {
  constexpr int kMostCpus = 1 << 18;
  for (int count = 1024; count <= kMostCpus; count *= 2) {
    CpuBits bits(count);
    if (sched_getaffinity(0, bits.bytes(), bits.get()) != 0) continue;  // More CPUs than bits.
    std::vector<int> cpus;
    for (int cpu = 0; cpu < count; ++cpu) {
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bits.bytes(), bits.get())) cpus.push_back(cpu);
    }
    return cpus;
  }
  return {};
}

bool set_thread_cpus(std::span<const int> cpus) { return set_cpus(0, cpus); }

void set_process_cpus(std::span<const int> cpus) {
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc/self/task", error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename();
    pid_t thread = 0;
    std::from_chars(name.data(), name.data() + name.size(), thread);
    // A thread that has ended meanwhile needs no place.
    if (thread > 0) set_cpus(thread, cpus);
  }
}

}  // namespace krait
