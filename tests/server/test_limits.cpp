#include <catch2/catch.hpp>
#include <chrono>

#include "server/service/queue_times.h"
#include "server/service/token_bucket.h"

namespace krait::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

/// A clock that tests set.
struct Clock {
  std::chrono::steady_clock::time_point now{};
  auto read() {
    return [this] { return now; };
  }
};

TEST_CASE("A bucket gives a minute's permits at once, and the next ones at the rate") {
  Clock clock;
  TokenBucket bucket(6, clock.read());
  for (int i = 0; i < 6; ++i) CHECK(bucket.take() == 0);
  CHECK(bucket.take() == 10);
  clock.now += milliseconds(9400);
  CHECK(bucket.take() == 1);  // 0.6 s, rounded up: a client that waits as it was told must not come in vain
  clock.now += milliseconds(600);
  CHECK(bucket.take() == 0);
  CHECK(bucket.take() == 10);
}

TEST_CASE("A bucket never holds more than a minute's permits, and a refusal costs none") {
  Clock clock;
  TokenBucket bucket(2, clock.read());
  clock.now += minutes(60);
  CHECK(bucket.take() == 0);
  CHECK(bucket.take() == 0);
  for (int i = 0; i < 1000; ++i) CHECK(bucket.take() == 30);
  clock.now += seconds(30);
  CHECK(bucket.take() == 0);
}

TEST_CASE("Over a long time a bucket lets through exactly its rate, however it is asked") {
  for (const int step_ms : {1, 7, 333, 1000}) {
    Clock clock;
    TokenBucket bucket(90, clock.read());
    int passed = 0;
    for (int ms = 0; ms < 10 * 60 * 1000; ms += step_ms) {
      if (bucket.take() == 0) ++passed;
      clock.now += milliseconds(step_ms);
    }
    // A step of a second asks less often than the rate allows.
    CHECK(passed >= (step_ms == 1000 ? 600 : 10 * 90 + 90 - 1));
    CHECK(passed <= 10 * 90 + 90);
  }
}

TEST_CASE("The wait of a full queue is what requests have waited lately") {
  Clock clock;
  clock.now += minutes(60);
  QueueTimes times(clock.read());
  CHECK(times.retry_after_seconds() == 1);
  times.record(milliseconds(1));
  CHECK(times.retry_after_seconds() == 1);
  times.record(seconds(5));
  CHECK(times.retry_after_seconds() == 3);
  for (int i = 0; i < 32; ++i) times.record(seconds(20));
  CHECK(times.retry_after_seconds() == 20);
  clock.now += minutes(6);
  CHECK(times.retry_after_seconds() == 1);
  times.record(minutes(100));
  CHECK(times.retry_after_seconds() == 600);
}

}  // namespace
}  // namespace krait::server
