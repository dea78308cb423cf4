#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>

namespace krait::server {

/// How long requests have waited for their first step lately: what a client that finds the queue full is told to wait.
/// Thread-safe.
class QueueTimes {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit QueueTimes(std::function<TimePoint()> now = [] { return std::chrono::steady_clock::now(); });

  void record(std::chrono::duration<double> waited);
  /// The mean over the last few requests that began within the last minutes, in whole seconds, rounded up; at least 1
  /// (also when nothing is known) and at most 600.
  [[nodiscard]] int retry_after_seconds() const;

 private:
  struct Sample {
    TimePoint at{};
    double seconds = 0.0;
  };
  static constexpr std::size_t kSamples = 32;

  const std::function<TimePoint()> now_;
  mutable std::mutex mutex_;
  std::array<Sample, kSamples> samples_{};  ///< a ring
  std::size_t recorded_ = 0;
};

}  // namespace krait::server
