#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>

namespace krait {

/// What the grammar library may spend on one call.
struct WorkLimits {
  std::size_t bytes = 0;                         ///< memory held at once, above what the thread held before
  std::chrono::nanoseconds time{};               ///< of the processor: how busy the machine is does not matter
  const std::atomic<bool>* cancelled = nullptr;  ///< may be null
};

/// Thrown out of an allocation by a thread whose budget is spent.
class WorkBudgetExceeded : public std::bad_alloc {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "the work budget of this thread is spent"; }
};

/// Bounds the memory and the time of foreign code that knows no bounds and cannot be stopped from outside: while one
/// lives, an allocation of its thread that goes over the budget throws WorkBudgetExceeded. It is looked at in
/// `operator new`, which this library replaces, because code that runs away allocates; throwing there is what every
/// standard container is prepared for. Threads without a budget pay for one test of a thread-local pointer.
class WorkBudget {
 public:
  enum class Excess : std::uint8_t { kNone, kMemory, kTime, kCancelled };

  /// Budgets of one thread do not nest.
  explicit WorkBudget(const WorkLimits& limits);
  ~WorkBudget() { end(); }
  WorkBudget(const WorkBudget&) = delete;
  WorkBudget& operator=(const WorkBudget&) = delete;

  /// From here on the thread may allocate what it likes, for instance to say that its budget was spent.
  void end() noexcept;
  [[nodiscard]] Excess excess() const { return excess_; }
  /// Of the processor, since the budget began; called on its thread.
  [[nodiscard]] std::chrono::nanoseconds time_spent() const noexcept;

  // Called by operator new and operator delete only.
  void charge(std::size_t bytes);
  void credit(std::size_t bytes) noexcept { held_ -= static_cast<std::int64_t>(bytes); }
  static WorkBudget* current() noexcept;

 private:
  [[nodiscard]] Excess look() noexcept;

  const WorkLimits limits_;
  const std::chrono::nanoseconds start_;
  std::int64_t held_ = 0;
  std::uint32_t allocations_ = 0;
  Excess excess_ = Excess::kNone;
};

}  // namespace krait
