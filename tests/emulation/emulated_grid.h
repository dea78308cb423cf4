#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <source_location>
#include <stdexcept>
#include <string>
#include <type_traits>

/// Runs a CUDA grid on the calling thread: a fiber for each CUDA thread, blocks one after another.
///
/// Modelled: the indices, static and dynamic shared memory, block barriers, collectives of a warp (shuffles, votes,
/// matrix products) under an explicit mask, asynchronous copies (they land at the wait, so a missing one shows),
/// atomics. Not modelled: time, the order of memory between blocks, registers, bank conflicts. Blocks that wait for
/// each other never end.
///
/// Inside a block a thread runs until it must wait; which of the runnable ones goes on is chosen by `set_order`, so a
/// kernel that is right in one order only is found. Shared memory begins as NaN in every float format, with poisoned
/// zones around each array under AddressSanitizer; under ThreadSanitizer every CUDA thread is a fiber of its own, and
/// only barriers and `__syncwarp` order memory.
namespace krait::cuda::emulation {

struct Index {
  unsigned x = 0;
  unsigned y = 0;
  unsigned z = 0;
};
inline Index thread_index;
inline Index block_index;
inline Index block_dim;
inline Index grid_dim;

/// A kernel did what a device would not forgive: the message names block, line and threads.
struct KernelError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Order : std::uint8_t { kForward, kReverse, kRandom };
/// Which runnable thread goes on; for all launches from now on. Default: kForward.
void set_order(Order order, std::uint32_t seed = 1);

/// Runs `thread` once for every thread of the grid. Throws KernelError; the next launch works again.
void run_grid(const Index& grid, const Index& block, std::size_t dynamic_shared, const std::function<void()>& thread);
/// Grids run so far: tests of launches that should not happen.
std::uint64_t launches();

using Place = std::source_location;
/// All threads of the block that have not returned meet here; they must come from the same line.
void block_barrier(const Place& place);
/// The dynamic shared memory of the block that runs.
unsigned char* dynamic_shared();
/// The static shared array that `key` stands for in the block that runs.
void* static_shared(const void* key, std::size_t bytes, std::size_t alignment);

/// Bytes that a lane can bring to a collective.
constexpr std::size_t kLaneBytes = 64;
/// What a lane brought, and what it takes away.
struct LaneSlots {
  unsigned char* in = nullptr;
  unsigned char* out = nullptr;
};
/// The operands of a warp's lanes: those in the mask are there.
struct WarpSlots {
  LaneSlots lane[32];
  template <typename T>
  [[nodiscard]] T in(int index) const {
    T value;
    std::memcpy(&value, lane[index].in, sizeof(T));
    return value;
  }
  template <typename T>
  void out(int index, const T& value) const {
    std::memcpy(lane[index].out, &value, sizeof(T));
  }
};
/// What kind of collective: lanes that meet must agree.
enum class Collective : std::uint8_t { kSync, kShuffle, kVote, kMatrixProduct, kMatrixLoad };
using WarpFunction = void (*)(const WarpSlots& slots, std::uint32_t mask);
/// All lanes of `mask` meet; the last to come calls `function` for all. Returns the slots of the calling lane.
LaneSlots meet(Collective kind, std::uint32_t mask, const void* in, std::size_t bytes, WarpFunction function,
               const Place& place);

template <typename Out, typename In>
Out collective(Collective kind, std::uint32_t mask, const In& in, WarpFunction function, const Place& place) {
  static_assert(sizeof(In) <= kLaneBytes && sizeof(Out) <= kLaneBytes);
  static_assert(std::is_trivially_copyable_v<In> && std::is_trivially_copyable_v<Out>);
  const LaneSlots slots = meet(kind, mask, &in, sizeof(In), function, place);
  Out out;
  std::memcpy(&out, slots.out, sizeof(Out));
  return out;
}

/// Lane of the running thread in its warp.
int lane();

/// cp.async: `bytes` bytes are copied and the rest of `size` zeroed, when its group is waited for.
void begin_copy(void* to, const void* from, int bytes, int size);
void commit_copies();
/// Until at most `pending` of the thread's groups have not landed.
void wait_copies(int pending);

/// Memory accesses of the emulation itself are not the kernel's: ThreadSanitizer must not see them.
struct Quiet {
  Quiet();
  ~Quiet();
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
};

template <typename T, std::size_t N, typename Tag>
T (&shared_array(Tag /*a lambda: one type for each line*/))
[N] {
  static const char key = 0;
  return *reinterpret_cast<T(*)[N]>(static_shared(&key, sizeof(T) * N, alignof(T)));
}

}  // namespace krait::cuda::emulation
