#pragma once

#include <chrono>
#include <functional>
#include <mutex>

namespace krait::server {

/// Limits a rate: holds up to `per_minute` permits, all of them at the start, and gains that many a minute. One permit
/// is one request. A few bytes, however many requests come. Thread-safe.
class TokenBucket {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// `per_minute` is at least 1. `now` must not run backwards.
  explicit TokenBucket(
      int per_minute, std::function<TimePoint()> now = [] { return std::chrono::steady_clock::now(); });

  /// Takes a permit: 0. Else takes nothing, and says after how many seconds (at least 1) there will be one.
  int take();

  [[nodiscard]] int per_minute() const { return per_minute_; }

 private:
  const int per_minute_;
  const std::function<TimePoint()> now_;
  std::mutex mutex_;
  double permits_;
  TimePoint filled_;  ///< when `permits_` was right
};

}  // namespace krait::server
