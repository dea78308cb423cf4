#pragma once

#include <algorithm>
#include <chrono>
#include <limits>

namespace krait::bench {

/// Seconds of one call of what a device does behind the host's back: the best of several rounds, each long enough for
/// the clock; `wait` returns when all of it is done.
template <typename Call, typename Wait>
double seconds_of(const Call& call, const Wait& wait) {
  constexpr int kRounds = 8;
  constexpr int kCalls = 64;
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) call();
    wait();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / kCalls);
  }
  return best;
}

}  // namespace krait::bench
