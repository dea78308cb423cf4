#include "engine/constraint/work_budget.h"

#include <malloc.h>
#include <time.h>

#include <cstdlib>
#include <exception>

#include "kernels/result.h"

namespace krait {
namespace {

constinit thread_local WorkBudget* current_budget = nullptr;

/// Allocations between two looks at the clock.
constexpr std::uint32_t kLookEvery = 256;

std::chrono::nanoseconds thread_time() noexcept {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

WorkBudget::WorkBudget(const WorkLimits& limits) : limits_(limits), start_(thread_time()) {
  if (current_budget != nullptr) KRAIT_BUG("a thread has two work budgets");
  current_budget = this;
}

void WorkBudget::end() noexcept {
  if (current_budget == this) current_budget = nullptr;
}

WorkBudget* WorkBudget::current() noexcept { return current_budget; }

WorkBudget::Excess WorkBudget::look() noexcept {
  if (held_ > static_cast<std::int64_t>(limits_.bytes)) return Excess::kMemory;
  if (++allocations_ % kLookEvery != 0) return Excess::kNone;
  if (limits_.cancelled != nullptr && limits_.cancelled->load(std::memory_order_relaxed)) return Excess::kCancelled;
  return time_spent() > limits_.time ? Excess::kTime : Excess::kNone;
}

std::chrono::nanoseconds WorkBudget::time_spent() const noexcept { return thread_time() - start_; }

void WorkBudget::charge(std::size_t bytes) {
  if (excess_ == Excess::kNone) {
    held_ += static_cast<std::int64_t>(bytes);
    excess_ = look();
    if (excess_ == Excess::kNone) return;
    held_ -= static_cast<std::int64_t>(bytes);
  }
  // A destructor that runs because of this exception may allocate: a second one would end the process.
  if (std::uncaught_exceptions() > 0) return;
  throw WorkBudgetExceeded();
}

}  // namespace krait

namespace {

/// What the standard asks of operator new: try, let the new-handler make room, give up when there is none.
void* allocate(std::size_t size) {
  while (true) {
    if (void* memory = std::malloc(size == 0 ? 1 : size); memory != nullptr) return memory;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void release(void* memory) noexcept {
  if (krait::WorkBudget* budget = krait::WorkBudget::current(); budget != nullptr && memory != nullptr) {
    budget->credit(malloc_usable_size(memory));
  }
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
  void* memory = allocate(size);
  if (krait::WorkBudget* budget = krait::WorkBudget::current(); budget != nullptr) {
    try {
      budget->charge(malloc_usable_size(memory));
    } catch (...) {
      std::free(memory);
      throw;
    }
  }
  return memory;
}

void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  try {
    return operator new(size);
  } catch (...) {
    return nullptr;
  }
}

void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { release(memory); }
void operator delete(void* memory, const std::nothrow_t& /*tag*/) noexcept { release(memory); }
