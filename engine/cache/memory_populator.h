#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace krait {

class Platform;
class ReservedMemory;

/// A thread that has the system back memory shortly before it is handed out. The first write to a page that nothing has
/// touched yet stops the writer until the system has found and cleared one, which may take longer than the step that
/// writes it: a virtual machine's host gives memory at a fraction of a gigabyte a second.
///
/// It works while the engine has nothing to compute or cores are left over; what the first request will need, it
/// populates in any case. It does nothing while the machine or the cgroup is short of memory. Its priority is not
/// lowered: whoever populates holds the kernel's lock on the address space, for which everybody else would wait until a
/// thread that only gets what others leave has had its turn.
class MemoryPopulator {
 public:
  /// `platform` must outlive it. `spare_cores`: steps leave some free, so that it may work beside them.
  MemoryPopulator(const Platform& platform, bool spare_cores);
  /// As `stop`.
  ~MemoryPopulator();
  MemoryPopulator(const MemoryPopulator&) = delete;
  MemoryPopulator& operator=(const MemoryPopulator&) = delete;

  /// `memory` must outlive the thread. The first `urgent` bytes that are wanted of it are populated in any case.
  /// Returns its number. Only before `start`.
  std::size_t add(ReservedMemory& memory, std::size_t urgent);
  /// Once, when all memories are there and what is wanted of them first.
  void start();
  /// Joins the thread: the memories may go. What is called after that has no effect.
  void stop();

  /// Whether the engine has something to compute, from here on.
  void set_computing(bool computing);

  /// Of memory number `index`, bytes [begin, end) are committed and free, to be handed out from `begin` on. Replaces
  /// what was said before.
  void want(std::size_t index, std::size_t begin, std::size_t end);
  /// Bytes of it from `begin` on may have gone back to the system.
  void forget(std::size_t index, std::size_t begin);

  /// For tests: until it has nothing to do.
  void wait_idle();

 private:
  struct Range {
    ReservedMemory* memory = nullptr;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t done = 0;          ///< bytes below it are in use or populated
    std::size_t urgent = 0;        ///< bytes that are still populated in any case
    std::uint64_t generation = 0;  ///< counts `forget`: what is populated during one may be gone
  };

  void run();
  /// Populates the next piece, with the lock given up meanwhile; false when there is nothing to do.
  bool populate_next(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] Range* next_range();
  void wake();

  const Platform& platform_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable idle_;
  std::vector<Range> ranges_;  ///< does not grow after `start`
  std::size_t turn_ = 0;       ///< the range that is looked at first: they take turns
  const bool spare_cores_;
  bool computing_ = false;
  bool resting_ = false;  ///< nothing to do until somebody wakes it
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace krait
