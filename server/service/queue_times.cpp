#include "server/service/queue_times.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace krait::server {
namespace {

constexpr std::chrono::minutes kRecent{5};
constexpr double kMostSeconds = 600.0;

}  // namespace

QueueTimes::QueueTimes(std::function<TimePoint()> now) : now_(std::move(now)) {}

void QueueTimes::record(std::chrono::duration<double> waited) {
  const std::lock_guard lock(mutex_);
  samples_[recorded_++ % kSamples] = {.at = now_(), .seconds = std::max(0.0, waited.count())};
}

int QueueTimes::retry_after_seconds() const {
  const std::lock_guard lock(mutex_);
  const TimePoint oldest = now_() - kRecent;
  double sum = 0.0;
  int count = 0;
  for (std::size_t i = 0; i < std::min(recorded_, kSamples); ++i) {
    if (samples_[i].at < oldest) continue;
    sum += samples_[i].seconds;
    ++count;
  }
  if (count == 0) return 1;
  return static_cast<int>(std::clamp(std::ceil(sum / count), 1.0, kMostSeconds));
}

}  // namespace krait::server
