#include "server/service/token_bucket.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace krait::server {

TokenBucket::TokenBucket(int per_minute, std::function<TimePoint()> now)
    : per_minute_(per_minute), now_(std::move(now)), permits_(per_minute), filled_(now_()) {}

int TokenBucket::take() {
  constexpr double kSecondsPerMinute = 60.0;
  const std::lock_guard lock(mutex_);
  const TimePoint now = now_();
  const double per_second = per_minute_ / kSecondsPerMinute;
  const double elapsed = std::chrono::duration<double>(now - filled_).count();
  permits_ = std::min<double>(per_minute_, permits_ + elapsed * per_second);
  filled_ = now;
  // The sum of many small gains may lie a hair below the whole permit that it is.
  constexpr double kRounding = 1e-9;
  if (permits_ >= 1.0 - kRounding) {
    permits_ = std::max(0.0, permits_ - 1.0);
    return 0;
  }
  return std::max(1, static_cast<int>(std::ceil((1.0 - permits_) / per_second - kRounding)));
}

}  // namespace krait::server
