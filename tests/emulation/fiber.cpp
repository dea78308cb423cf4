#include "tests/emulation/fiber.h"

#include <sys/mman.h>

#include <new>

#include "tests/emulation/emulated_grid.h"

#ifdef KRAIT_EMULATION_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef KRAIT_EMULATION_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

// krait_switch_stack(save, to): pushes what a call must keep, stores the stack pointer in *save, and goes on at `to`.
extern "C" void krait_switch_stack(void** save, void* to);
#if defined(__x86_64__)
asm(R"(
.text
.p2align 4
.globl krait_switch_stack
.type krait_switch_stack,@function
krait_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size krait_switch_stack,.-krait_switch_stack
)");
#else
#error "the emulated grid has no stack switch for this processor"
#endif

namespace krait::cuda::emulation {
namespace {

#if defined(KRAIT_EMULATION_ASAN) || defined(KRAIT_EMULATION_TSAN)
constexpr std::size_t kStack = std::size_t{256} << 10;
#else
constexpr std::size_t kStack = std::size_t{64} << 10;
#endif
constexpr std::size_t kGuard = 4096;

Fiber* g_from = nullptr;  ///< the fiber that the last switch left
Fiber* g_to = nullptr;    ///< the one that it went to

/// Tells AddressSanitizer, on the new stack, that the switch is over; keeps what it says of an adopted stack.
KRAIT_NO_TSAN void arrive([[maybe_unused]] void* fake_stack, [[maybe_unused]] const void** bottom,
                          [[maybe_unused]] std::size_t* size) {
#ifdef KRAIT_EMULATION_ASAN
  __sanitizer_finish_switch_fiber(fake_stack, bottom, size);
#endif
}

}  // namespace

KRAIT_NO_TSAN void run_entry() {
  const void* bottom = nullptr;
  std::size_t size = 0;
  arrive(nullptr, &bottom, &size);
  if (g_from->stack_ == nullptr) {
    g_from->bottom_ = bottom;
    g_from->size_ = size;
  }
  g_to->entry_(g_to->argument_);
}

Fiber::~Fiber() { drop(); }

void Fiber::start(void (*entry)(void*), void* argument) {
  entry_ = entry;
  argument_ = argument;
  if (stack_ != nullptr) return;
  void* memory = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  stack_ = static_cast<char*>(memory);
  mprotect(stack_, kGuard, PROT_NONE);
#ifdef KRAIT_EMULATION_TSAN
  sanitizer_ = __tsan_create_fiber(0);
#endif
  auto** top = reinterpret_cast<void**>(stack_ + kStack) - 2;
  *--top = nullptr;  // where a return address would be: the frame is aligned as after a call
  *--top = reinterpret_cast<void*>(&run_entry);
  constexpr int kSavedRegisters = 6;
  for (int i = 0; i < kSavedRegisters; ++i) *--top = nullptr;
  stack_pointer_ = top;
}

void Fiber::adopt_current() {
  bottom_ = nullptr;
  size_ = 0;
#ifdef KRAIT_EMULATION_TSAN
  sanitizer_ = __tsan_get_current_fiber();
#endif
}

// ThreadSanitizer's fiber is not destroyed: it stopped half-way through functions.
void Fiber::drop() {
  if (stack_ == nullptr) return;
  unpoison(stack_, kStack);
  munmap(stack_, kStack);
  stack_ = nullptr;
  stack_pointer_ = nullptr;
  sanitizer_ = nullptr;
}

void switch_fiber(Fiber& from, Fiber& to) {
  g_from = &from;
  g_to = &to;
  [[maybe_unused]] void* fake_stack = nullptr;
#ifdef KRAIT_EMULATION_ASAN
  __sanitizer_start_switch_fiber(&fake_stack, to.stack_ != nullptr ? to.stack_ : to.bottom_,
                                 to.stack_ != nullptr ? kStack : to.size_);
#endif
#ifdef KRAIT_EMULATION_TSAN
  __tsan_switch_to_fiber(to.sanitizer_, __tsan_switch_to_fiber_no_sync);
#endif
  void** save = &from.stack_pointer_;
  void* stack_pointer = to.stack_pointer_;
  krait_switch_stack(save, stack_pointer);
  const void* bottom = nullptr;
  std::size_t size = 0;
  arrive(fake_stack, &bottom, &size);
  if (g_from->stack_ == nullptr) {
    g_from->bottom_ = bottom;
    g_from->size_ = size;
  }
}

#ifdef KRAIT_EMULATION_TSAN
void release_fiber(void* point) { __tsan_release(point); }
void acquire_fiber(void* point) { __tsan_acquire(point); }
Quiet::Quiet() {
  AnnotateIgnoreReadsBegin("", 0);
  AnnotateIgnoreWritesBegin("", 0);
}
Quiet::~Quiet() {
  AnnotateIgnoreReadsEnd("", 0);
  AnnotateIgnoreWritesEnd("", 0);
}
#else
void release_fiber(void* /*point*/) {}
void acquire_fiber(void* /*point*/) {}
Quiet::Quiet() = default;
Quiet::~Quiet() = default;
#endif

#ifdef KRAIT_EMULATION_ASAN
void poison(const void* data, std::size_t bytes) { ASAN_POISON_MEMORY_REGION(data, bytes); }
void unpoison(const void* data, std::size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(data, bytes); }
#else
void poison(const void* /*data*/, std::size_t /*bytes*/) {}
void unpoison(const void* /*data*/, std::size_t /*bytes*/) {}
#endif

}  // namespace krait::cuda::emulation
