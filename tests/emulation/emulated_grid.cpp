#include "tests/emulation/emulated_grid.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <mutex>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "tests/emulation/device_memory.h"
#include "tests/emulation/fiber.h"

namespace krait::cuda::emulation {
namespace {

constexpr std::size_t kSharedBytes = std::size_t{228} << 10;
constexpr std::size_t kMaximumDynamic = std::size_t{227} << 10;
constexpr int kMaximumThreads = 1024;

enum class Waiting : std::uint8_t { kNot, kBlock, kWarp, kReturned };

struct PendingCopy {
  void* to = nullptr;
  const void* from = nullptr;
  int bytes = 0;
  int size = 0;
  int group = 0;
};

struct Thread {
  Fiber fiber;
  Index index;
  int warp = 0;
  int lane = 0;
  Waiting waiting = Waiting::kReturned;
  Place place;
  alignas(16) unsigned char in[kLaneBytes] = {};
  alignas(16) unsigned char out[kLaneBytes] = {};
  std::vector<PendingCopy> copies;
  int open_group = 0;
};

/// A collective that some lanes of a warp have reached.
struct Meeting {
  std::uint32_t mask = 0;
  std::uint32_t arrived = 0;
  Collective kind = Collective::kSync;
  Place place;
  unsigned generation = 0;
};

struct Warp {
  Thread* lanes[32] = {};
  std::uint32_t returned = 0;
  std::vector<Meeting> meetings;
  unsigned generation = 0;
  char sync[2] = {};  ///< ThreadSanitizer's points, used in turn: one would hide races between neighbouring barriers
};

bool same_place(const Place& a, const Place& b) {
  return a.line() == b.line() && a.column() == b.column() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

std::string text(const Place& place) {
  const std::string file = place.file_name();
  const std::size_t slash = file.rfind('/');
  return (slash == std::string::npos ? file : file.substr(slash + 1)) + ":" + std::to_string(place.line()) + ": ";
}

class Machine {
 public:
  static Machine& instance() {
    static auto* const machine = new Machine;  // fibers may outlive static destructors
    return *machine;
  }

  std::mutex turn;  ///< held by the thread whose grid is running
  Order order = Order::kForward;
  std::mt19937 random{1};
  std::uint64_t launches = 0;

  void run(const Index& grid, const Index& block, std::size_t dynamic, const std::function<void()>& thread);
  void barrier(const Place& place);
  LaneSlots meet(Collective kind, std::uint32_t mask, const void* in, std::size_t bytes, WarpFunction function,
                 const Place& place);
  void* static_shared(const void* key, std::size_t bytes, std::size_t alignment);
  [[nodiscard]] unsigned char* shared() const { return shared_; }
  [[nodiscard]] Thread& current() const { return *current_; }

 private:
  Machine() {
    shared_ = static_cast<unsigned char*>(
        mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }

  void prepare(int count);
  void run_block(const Index& at);
  void clear_shared();
  void body();
  /// `other`: where the other threads are.
  [[noreturn]] void fail(const Place* place, const char* message, const Place* other = nullptr);
  void wake(Thread* thread) {
    thread->waiting = Waiting::kNot;
    ready_.push_back(thread);
  }
  void wake_all(std::span<Thread* const> threads) {
    if (order == Order::kReverse) {
      for (auto it = threads.rbegin(); it != threads.rend(); ++it) wake(*it);
    } else {
      for (Thread* thread : threads) wake(thread);
    }
  }
  Thread* pick();
  void enter(Thread* thread) {
    current_ = thread;
    thread_index = thread->index;
  }
  KRAIT_NO_TSAN void yield();
  void abandon();
  void leave();
  [[nodiscard]] std::string stuck() const;

  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Thread*> running_;  ///< the threads of the block, in order
  std::vector<Warp> warps_;
  std::vector<Thread*> ready_;
  std::size_t head_ = 0;
  Fiber main_;
  Thread* current_ = nullptr;
  const std::function<void()>* kernel_ = nullptr;
  unsigned char* shared_ = nullptr;
  std::size_t dynamic_ = 0;
  std::size_t shared_top_ = 0;
  std::vector<std::pair<const void*, unsigned char*>> arrays_;
  int count_ = 0;
  int returned_ = 0;
  int at_barrier_ = 0;
  Place barrier_place_;
  unsigned barrier_generation_ = 0;
  char barrier_sync_[2] = {};
  char start_sync_ = 0;
  char end_sync_ = 0;
  bool failed_ = false;
  bool abandoned_ = false;  ///< threads that are resumed are to leave at once
  std::string reason_;
};

Thread* Machine::pick() {
  if (head_ == ready_.size()) return nullptr;
  if (order == Order::kRandom) std::swap(ready_[head_], ready_[head_ + random() % (ready_.size() - head_)]);
  Thread* thread = ready_[head_++];
  if (head_ == ready_.size()) {
    ready_.clear();
    head_ = 0;
  }
  return thread;
}

// To the next runnable thread, or out of the block when there is none.
void Machine::yield() {
  Thread* from = current_;
  Thread* next = failed_ ? nullptr : pick();
  if (next == from) return enter(from);
  if (next != nullptr) enter(next);
  switch_fiber(from->fiber, next != nullptr ? next->fiber : main_);
  if (abandoned_) leave();
}

// The threads that have not returned stop where they are. What they did is before what the host does next: each says so
// itself, for ThreadSanitizer.
void Machine::abandon() {
  abandoned_ = true;
  for (Thread* thread : running_) {
    if (thread->waiting == Waiting::kReturned) continue;
    enter(thread);
    switch_fiber(main_, thread->fiber);
  }
  abandoned_ = false;
  acquire_fiber(&end_sync_);
  for (const auto& thread : threads_) thread->fiber.drop();
}

void Machine::leave() {
  release_fiber(&end_sync_);
  switch_fiber(current_->fiber, main_);
}

// The failed thread stays where it is: its stack is dropped, and no destructor of what is on it runs.
void Machine::fail(const Place* place, const char* message, const Place* other) {
  if (!failed_) {
    failed_ = true;
    reason_ = place != nullptr ? text(*place) : std::string();
    reason_ += message;
    if (other != nullptr) reason_ += "; the other: " + text(*other);
  }
  for (;;) yield();
}

void Machine::barrier(const Place& place) {
  const Quiet quiet;
  Thread& thread = *current_;
  thread.waiting = Waiting::kBlock;
  thread.place = place;
  if (at_barrier_ > 0 && !same_place(barrier_place_, place)) {
    fail(&place, "threads of one block meet in different barriers", &barrier_place_);
  }
  barrier_place_ = place;
  char* sync = &barrier_sync_[barrier_generation_ & 1U];
  release_fiber(sync);
  if (++at_barrier_ == count_) {
    at_barrier_ = 0;
    ++barrier_generation_;
    wake_all(std::span<Thread* const>(running_));
  }
  yield();
  acquire_fiber(sync);
}

LaneSlots Machine::meet(Collective kind, std::uint32_t mask, const void* in, std::size_t bytes, WarpFunction function,
                        const Place& place) {
  const Quiet quiet;
  Thread& thread = *current_;
  Warp& warp = warps_[static_cast<std::size_t>(thread.warp)];
  if ((mask >> thread.lane & 1U) == 0) fail(&place, "a lane outside its own mask");
  if ((mask & warp.returned) != 0) fail(&place, "the mask names lanes that have returned or do not exist");
  std::memcpy(thread.in, in, bytes);
  thread.place = place;
  thread.waiting = Waiting::kWarp;
  Meeting* meeting = nullptr;
  for (Meeting& one : warp.meetings) {
    if ((one.mask & mask) == 0) continue;
    if (one.mask != mask || one.kind != kind || !same_place(one.place, place)) {
      fail(&place, "lanes of one warp meet in different collectives", &one.place);
    }
    meeting = &one;
  }
  if (meeting == nullptr) {
    meeting = &warp.meetings.emplace_back(
        Meeting{.mask = mask, .arrived = 0, .kind = kind, .place = place, .generation = warp.generation++});
  }
  meeting->arrived |= 1U << thread.lane;
  char* sync = &warp.sync[meeting->generation & 1U];
  // Shuffles order no memory.
  if (kind == Collective::kSync) release_fiber(sync);
  if (meeting->arrived == mask) {
    *meeting = warp.meetings.back();
    warp.meetings.pop_back();
    WarpSlots slots;
    std::array<Thread*, 32> members{};
    std::size_t count = 0;
    for (int i = 0; i < 32; ++i) {
      if ((mask >> i & 1U) == 0) continue;
      slots.lane[i] = {warp.lanes[i]->in, warp.lanes[i]->out};
      members[count++] = warp.lanes[i];
    }
    if (function != nullptr) function(slots, mask);
    wake_all(std::span(members).first(count));
  }
  yield();
  if (kind == Collective::kSync) acquire_fiber(sync);
  return {thread.in, thread.out};
}

void* Machine::static_shared(const void* key, std::size_t bytes, std::size_t alignment) {
  const Quiet quiet;
  for (const auto& [known, data] : arrays_) {
    if (known == key) return data;
  }
  constexpr std::size_t kRedZone = 64;
  const std::size_t unit = std::max<std::size_t>(alignment, 16);
  const std::size_t offset = (shared_top_ + kRedZone + unit - 1) / unit * unit;
  if (offset + bytes > kSharedBytes) fail(nullptr, "more than 228 KiB of shared memory");
  unsigned char* data = shared_ + offset;
  unpoison(data, bytes);
  std::memset(data, 0xFF, bytes);
  shared_top_ = offset + bytes;
  arrays_.emplace_back(key, data);
  return data;
}

void Machine::clear_shared() {
#ifdef KRAIT_EMULATION_TSAN
  // Fresh pages: what the last block did to them is forgotten.
  mmap(shared_, kSharedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
#endif
  unpoison(shared_, kSharedBytes);
  std::memset(shared_, 0xFF, dynamic_);
  poison(shared_ + dynamic_, kSharedBytes - dynamic_);
  shared_top_ = dynamic_;
  arrays_.clear();
}

void Machine::body() {
  for (;;) {
    if (abandoned_) leave();
    acquire_fiber(&start_sync_);
    (*kernel_)();
    release_fiber(&end_sync_);
    const Quiet quiet;
    Thread& thread = *current_;
    thread.waiting = Waiting::kReturned;
    ++returned_;
    warps_[static_cast<std::size_t>(thread.warp)].returned |= 1U << thread.lane;
    yield();
  }
}

void Machine::prepare(int count) {
  while (static_cast<int>(threads_.size()) < count) threads_.push_back(std::make_unique<Thread>());
  running_.clear();
  warps_.assign(static_cast<std::size_t>(count + 31) / 32, {});
  for (int t = 0; t < count; ++t) {
    Thread& thread = *threads_[static_cast<std::size_t>(t)];
    const auto index = static_cast<unsigned>(t);
    thread.index = {index % block_dim.x, index / block_dim.x % block_dim.y, index / (block_dim.x * block_dim.y)};
    thread.warp = t / 32;
    thread.lane = t % 32;
    thread.fiber.start([](void* machine) { static_cast<Machine*>(machine)->body(); }, this);
    running_.push_back(&thread);
  }
}

void Machine::run_block(const Index& at) {
  const Quiet quiet;
  block_index = at;
  clear_shared();
  returned_ = 0;
  at_barrier_ = 0;
  ready_.clear();
  head_ = 0;
  for (Warp& warp : warps_) {
    warp.returned = ~0U;
    warp.meetings.clear();
  }
  for (Thread* thread : running_) {
    thread->copies.clear();
    thread->open_group = 0;
    Warp& warp = warps_[static_cast<std::size_t>(thread->warp)];
    warp.lanes[thread->lane] = thread;
    warp.returned &= ~(1U << thread->lane);
  }
  wake_all(std::span<Thread* const>(running_));
  release_fiber(&start_sync_);
  Thread* first = pick();
  enter(first);
  switch_fiber(main_, first->fiber);
  acquire_fiber(&end_sync_);
  if (!failed_ && returned_ == count_) return;
  const std::string message = "block (" + std::to_string(at.x) + "," + std::to_string(at.y) + "," +
                              std::to_string(at.z) + ") " + (failed_ ? reason_ : stuck());
  abandon();
  unpoison(shared_, kSharedBytes);
  throw KernelError(message);
}

std::string Machine::stuck() const {
  std::string message =
      "never ends (" + std::to_string(returned_) + " of " + std::to_string(count_) + " threads returned):";
  int shown = 0;
  for (std::size_t t = 0; t < running_.size() && shown < 3; ++t) {
    const Thread& thread = *running_[t];
    if (thread.waiting == Waiting::kReturned) continue;
    ++shown;
    message += " thread " + std::to_string(t) + " waits at " + text(thread.place) +
               (thread.waiting == Waiting::kBlock ? "block barrier;" : "collective of a warp;");
  }
  return message;
}

void Machine::run(const Index& grid, const Index& block, std::size_t dynamic, const std::function<void()>& thread) {
  const std::size_t threads = std::size_t{block.x} * block.y * block.z;
  if (threads < 1 || threads > kMaximumThreads) {
    throw KernelError("a block of " + std::to_string(threads) + " threads; valid are 1 to 1024");
  }
  if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.x > 0x7fffffffU || grid.y > 65535 || grid.z > 65535) {
    throw KernelError("a grid of " + std::to_string(grid.x) + " x " + std::to_string(grid.y) + " x " +
                      std::to_string(grid.z) + " blocks");
  }
  if (dynamic > kMaximumDynamic) throw KernelError("more than 227 KiB of dynamic shared memory");
  ++launches;
  grid_dim = grid;
  block_dim = block;
  dynamic_ = (dynamic + 15) / 16 * 16;
  kernel_ = &thread;
  failed_ = false;
  count_ = static_cast<int>(threads);
  main_.adopt_current();
  prepare(count_);
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) run_block({x, y, z});
    }
  }
  unpoison(shared_, kSharedBytes);
}

}  // namespace

void set_order(Order order, std::uint32_t seed) {
  Machine& machine = Machine::instance();
  const std::lock_guard lock(machine.turn);
  machine.order = order;
  machine.random.seed(seed);
}

void run_grid(const Index& grid, const Index& block, std::size_t dynamic_shared, const std::function<void()>& thread) {
  Machine& machine = Machine::instance();
  const std::lock_guard lock(machine.turn);
  const DeviceAccess access;
  machine.run(grid, block, dynamic_shared, thread);
}

std::uint64_t launches() { return Machine::instance().launches; }
void block_barrier(const Place& place) { Machine::instance().barrier(place); }
unsigned char* dynamic_shared() { return Machine::instance().shared(); }
void* static_shared(const void* key, std::size_t bytes, std::size_t alignment) {
  return Machine::instance().static_shared(key, bytes, alignment);
}
LaneSlots meet(Collective kind, std::uint32_t mask, const void* in, std::size_t bytes, WarpFunction function,
               const Place& place) {
  return Machine::instance().meet(kind, mask, in, bytes, function, place);
}
int lane() { return Machine::instance().current().lane; }

void begin_copy(void* to, const void* from, int bytes, int size) {
  const Quiet quiet;
  Thread& thread = Machine::instance().current();
  thread.copies.push_back({.to = to, .from = from, .bytes = bytes, .size = size, .group = thread.open_group});
}

void commit_copies() {
  const Quiet quiet;
  ++Machine::instance().current().open_group;
}

// The copies themselves are the kernel's accesses.
void wait_copies(int pending) {
  std::vector<PendingCopy> landing;
  {
    const Quiet quiet;
    Thread& thread = Machine::instance().current();
    const auto lands = [&](const PendingCopy& copy) { return copy.group < thread.open_group - pending; };
    std::copy_if(thread.copies.begin(), thread.copies.end(), std::back_inserter(landing), lands);
    std::erase_if(thread.copies, lands);
  }
  for (const PendingCopy& copy : landing) {
    std::memset(copy.to, 0, static_cast<std::size_t>(copy.size));
    if (copy.bytes > 0) std::memcpy(copy.to, copy.from, static_cast<std::size_t>(copy.bytes));
  }
}

}  // namespace krait::cuda::emulation
