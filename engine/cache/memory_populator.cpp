#include "engine/cache/memory_populator.h"

#include <algorithm>

#include "kernels/platform.h"

namespace krait {
namespace {

/// A huge page: whole ones are backed at once, and the kernel's lock on the address space is soon free again.
constexpr std::size_t kPiece = std::size_t{2} << 20U;

/// Free memory that is left to the rest of the machine or the container.
constexpr std::size_t kSpare = std::size_t{512} << 20U;

}  // namespace

MemoryPopulator::MemoryPopulator(const Platform& platform, bool spare_cores)
    : platform_(platform), spare_cores_(spare_cores) {}

MemoryPopulator::~MemoryPopulator() { stop(); }

std::size_t MemoryPopulator::add(ReservedMemory& memory, std::size_t urgent) {
  ranges_.push_back({.memory = &memory, .urgent = urgent});
  return ranges_.size() - 1;
}

void MemoryPopulator::start() {
  thread_ = std::thread([this] { run(); });
}

void MemoryPopulator::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void MemoryPopulator::wake() {
  resting_ = false;
  changed_.notify_one();
}

void MemoryPopulator::set_computing(bool computing) {
  const std::lock_guard lock(mutex_);
  if (computing_ == computing) return;
  computing_ = computing;
  if (resting_ && next_range() != nullptr) wake();
}

void MemoryPopulator::want(std::size_t index, std::size_t begin, std::size_t end) {
  const std::lock_guard lock(mutex_);
  Range& range = ranges_[index];
  range.begin = begin;
  range.end = end;
  if (resting_ && next_range() != nullptr) wake();
}

void MemoryPopulator::forget(std::size_t index, std::size_t begin) {
  const std::lock_guard lock(mutex_);
  Range& range = ranges_[index];
  range.done = std::min(range.done, begin);
  ++range.generation;
}

void MemoryPopulator::wait_idle() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return resting_; });
}

void MemoryPopulator::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (populate_next(lock)) continue;
    resting_ = true;
    idle_.notify_all();
    changed_.wait(lock, [this] { return stop_ || !resting_; });
  }
}

MemoryPopulator::Range* MemoryPopulator::next_range() {
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    Range& range = ranges_[(turn_ + i) % ranges_.size()];
    const bool may = spare_cores_ || !computing_ || range.urgent > 0;
    if (may && std::max(range.begin, range.done) < range.end) return &range;
  }
  return nullptr;
}

bool MemoryPopulator::populate_next(std::unique_lock<std::mutex>& lock) {
  Range* range = next_range();
  if (range == nullptr) return false;
  turn_ = static_cast<std::size_t>(range - ranges_.data()) + 1;
  const std::size_t from = std::max(range->begin, range->done);
  const std::size_t to = std::min((from / kPiece + 1) * kPiece, range->end);
  const std::uint64_t generation = range->generation;
  lock.unlock();
  const bool enough = platform_.available_memory() >= kPiece + kSpare;
  if (enough) range->memory->populate(from, to - from);
  lock.lock();
  if (!enough) return false;
  range->urgent -= std::min(range->urgent, to - from);
  if (range->generation == generation) range->done = to;
  return true;
}

}  // namespace krait
