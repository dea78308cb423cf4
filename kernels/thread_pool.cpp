#include "kernels/thread_pool.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

#include "kernels/result.h"
#include "kernels/thread_scheduling.h"

namespace krait {
namespace {

thread_local bool inside_loop = false;

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

/// Waits until `value` is no longer `old`: a short spin, then a futex.
void wait_while(const std::atomic<std::uint32_t>& value, std::uint32_t old, int spins) {
  for (int i = 0; i < spins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause_briefly();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace

// "max 100000" or "150000 100000".
std::optional<int> cpu_quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  long period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return std::nullopt;
  const long microseconds = std::strtol(quota.c_str(), nullptr, 10);
  if (microseconds <= 0) return std::nullopt;
  return static_cast<int>((microseconds + period - 1) / period);
}

int usable_cores() {
  const auto allowed = static_cast<int>(thread_cpus().size());
  const int cores = allowed > 0 ? allowed : static_cast<int>(std::thread::hardware_concurrency());
  return std::max(std::min(cores, cpu_quota().value_or(cores)), 1);
}

ThreadPool::ThreadPool(int threads, std::vector<WorkerPlace> places) : places_(std::move(places)) {
  const int cores = usable_cores();
  const int size = threads > 0 ? threads : cores;
  // About a millisecond of `pause`: to sleep and be woken costs a virtual machine up to a tenth of that, several times
  // a step. With more threads than cores a spinning worker only keeps a working one from its core.
  constexpr int kSpins = 50000;
  spins_ = size <= cores ? kSpins : 0;
  if (!places_.empty() && places_.size() != static_cast<std::size_t>(size)) {
    KRAIT_BUG("a pool of " + std::to_string(size) + " workers with " + std::to_string(places_.size()) + " places");
  }
  parts_ = std::make_unique<Part[]>(static_cast<std::size_t>(size));
  workers_.reserve(static_cast<std::size_t>(size - 1));
  for (int worker = 1; worker < size; ++worker) workers_.emplace_back([this, worker] { worker_loop(worker); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

bool ThreadPool::Part::take(std::int64_t& range_begin, std::int64_t& range_end) {
  std::int64_t from = next.load(std::memory_order_relaxed);
  while (from < end) {
    const std::int64_t to = from + std::max<std::int64_t>((end - from) / 2, 1);
    if (next.compare_exchange_weak(from, to, std::memory_order_relaxed)) {
      range_begin = from;
      range_end = to;
      return true;
    }
  }
  return false;
}

void ThreadPool::work(int worker) {
  const auto work_on = [&](Part& part) {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    while (part.take(begin, end)) job_.call(job_.context, begin, end, worker);
  };
  work_on(parts_[static_cast<std::size_t>(worker)]);
  // Then those at distances 1, 2, 4 ...: to look at all of them would cost a large team more than it finds.
  for (int distance = 1; distance < size(); distance *= 2) {
    work_on(parts_[static_cast<std::size_t>((worker + distance) % size())]);
  }
}

void ThreadPool::run(const Job& job) {
  if (job.count <= 0) return;
  if (inside_loop || workers_.empty() || job.count == 1) {
    // Worker 0 is right even inside a loop's other worker only if fn keeps no per-worker state there; loops are not
    // nested by us.
    job.call(job.context, 0, job.count, 0);
    return;
  }
  const std::lock_guard turn(turn_);
  job_ = job;
  for (int worker = 0; worker < size(); ++worker) {
    Part& part = parts_[static_cast<std::size_t>(worker)];
    part.next.store(job.count * worker / size(), std::memory_order_relaxed);
    part.end = job.count * (worker + 1) / size();
  }
  pending_.store(static_cast<std::uint32_t>(workers_.size()), std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  inside_loop = true;
  work(0);
  inside_loop = false;
  for (;;) {
    const std::uint32_t left = pending_.load(std::memory_order_acquire);
    if (left == 0) return;
    wait_while(pending_, left, spins_);
  }
}

void ThreadPool::worker_loop(int worker) {
  if (!places_.empty()) set_thread_cpus(places_[static_cast<std::size_t>(worker)].cpus);
  inside_loop = true;
  std::uint32_t seen = 0;
  for (;;) {
    wait_while(epoch_, seen, spins_);
    ++seen;
    if (stop_.load(std::memory_order_relaxed)) return;
    work(worker);
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
  }
}

}  // namespace krait
