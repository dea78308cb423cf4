#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define KRAIT_EMULATION_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define KRAIT_EMULATION_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KRAIT_EMULATION_ASAN 1
#elif __has_feature(thread_sanitizer)
#define KRAIT_EMULATION_TSAN 1
#endif
#endif
#ifdef KRAIT_EMULATION_TSAN
#define KRAIT_NO_TSAN __attribute__((no_sanitize("thread")))
#else
#define KRAIT_NO_TSAN
#endif

namespace krait::cuda::emulation {

/// A stack of its own, and where it stopped. Sanitizers are told of every switch.
class Fiber {
 public:
  Fiber() = default;
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Makes the fiber ready to call entry(argument), which must not return, at the first switch to it. A fiber that has
  /// been started already goes on where it stopped.
  void start(void (*entry)(void*), void* argument);
  /// This fiber stands for the calling thread's own stack.
  void adopt_current();
  /// Forgets a fiber that stopped in the middle; `start` makes it anew.
  void drop();

 private:
  friend void switch_fiber(Fiber& from, Fiber& to);
  friend void run_entry();

  void* stack_pointer_ = nullptr;
  char* stack_ = nullptr;
  const void* bottom_ = nullptr;  ///< of an adopted stack, as AddressSanitizer says
  std::size_t size_ = 0;
  void* sanitizer_ = nullptr;
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
};

/// Saves the running fiber in `from` and goes on with `to`.
KRAIT_NO_TSAN void switch_fiber(Fiber& from, Fiber& to);

/// What the caller did before is seen by whoever acquires `point` after: for ThreadSanitizer alone.
void release_fiber(void* point);
void acquire_fiber(void* point);

/// For AddressSanitizer alone.
void poison(const void* data, std::size_t bytes);
void unpoison(const void* data, std::size_t bytes);

}  // namespace krait::cuda::emulation
