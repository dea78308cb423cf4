#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

namespace krait {

/// Cores of a container's CPU quota (cgroup v2), rounded up; nullopt where there is none.
std::optional<int> cpu_quota();

/// Processors that this process may use: its affinity mask, and a container's CPU quota rounded up. At least 1.
int usable_cores();

/// Where a worker belongs.
struct WorkerPlace {
  std::vector<int> cpus;  ///< it runs on these alone; empty: anywhere
  int node = -1;          ///< the NUMA node of its memory; -1: nobody cares
};

/// A fixed team of threads for data-parallel loops. The caller is worker 0, so a pool of N starts N - 1 threads.
/// Workers spin for about a millisecond after a loop (the next one is usually near) and then sleep; a pool that is
/// larger than the machine never spins.
///
/// Worker w of N begins with the w-th of N equal parts of a loop, so that it meets the same memory in every step, and
/// takes half of what is left of its part at a time; one that has finished helps others with theirs. Which worker gets
/// an index is not known beforehand, and results must not depend on it, nor on N (design, section 6). Loops from
/// several threads take turns. A loop started inside a loop runs on the calling worker alone.
///
/// The pool binds the threads that it starts to their places. Worker 0 is whoever calls: it binds itself.
class ThreadPool {
 public:
  /// `threads` 0: usable_cores(). `places` is empty or has one a worker.
  explicit ThreadPool(int threads = 0, std::vector<WorkerPlace> places = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int size() const { return static_cast<int>(workers_.size()) + 1; }

  [[nodiscard]] const std::vector<WorkerPlace>& places() const { return places_; }

  /// Calls fn(begin, end, worker) for disjoint ranges that cover [0, count); a worker makes one call at a time, and
  /// mostly several. `fn` must not throw: an exception ends the program.
  template <typename Fn>
  void parallel_for(std::int64_t count, Fn&& fn) {
    using Callable = std::remove_reference_t<Fn>;
    run(Job{.call = [](void* context, std::int64_t begin, std::int64_t end,
                       int worker) noexcept { (*static_cast<Callable*>(context))(begin, end, worker); },
            .context = const_cast<void*>(static_cast<const void*>(&fn)),
            .count = count});
  }

 private:
  struct Job {
    void (*call)(void* context, std::int64_t begin, std::int64_t end, int worker) noexcept = nullptr;
    void* context = nullptr;
    std::int64_t count = 0;
  };

  /// A worker's part of the loop that is running: what nobody has begun of it.
  struct alignas(64) Part {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
    /// The next indices [begin, end) of it; false when there are none.
    bool take(std::int64_t& range_begin, std::int64_t& range_end);
  };

  void run(const Job& job);
  void work(int worker);
  void worker_loop(int worker);

  std::vector<WorkerPlace> places_;
  std::vector<std::thread> workers_;
  std::unique_ptr<Part[]> parts_;  ///< one a worker; written before `epoch_` moves
  int spins_ = 0;
  std::mutex turn_;                        ///< held by the thread whose loop is running
  Job job_;                                ///< written before `epoch_` moves, read after
  std::atomic<std::uint32_t> epoch_{0};    ///< counts loops; a change wakes the workers
  std::atomic<std::uint32_t> pending_{0};  ///< workers that have not finished the loop
  std::atomic<bool> stop_{false};
};

}  // namespace krait
