#include "kernels/thread_pool.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <numeric>

namespace krait {

TEST_CASE("Every index is visited once, whatever the number of threads") {
  for (const int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    CHECK(pool.size() == threads);
    for (const std::int64_t count : {0, 1, 2, 5, 100}) {
      std::vector<int> visits(static_cast<std::size_t>(count));
      std::atomic<bool> worker_ok{true};
      pool.parallel_for(count, [&](std::int64_t begin, std::int64_t end, int worker) {
        if (worker < 0 || worker >= threads) worker_ok = false;
        for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
      });
      CHECK(worker_ok);
      CHECK(std::all_of(visits.begin(), visits.end(), [](int n) { return n == 1; }));
    }
  }
}

TEST_CASE("Many short loops follow each other") {
  ThreadPool pool(3);
  std::vector<std::int64_t> sums(3);
  for (int round = 0; round < 2000; ++round) {
    pool.parallel_for(3, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t i = begin; i < end; ++i) sums[static_cast<std::size_t>(i)] += i;
    });
  }
  CHECK(sums == std::vector<std::int64_t>{0, 2000, 4000});
}

TEST_CASE("Two threads may use one pool, and a loop may start a loop") {
  ThreadPool pool(2);
  std::atomic<int> total{0};
  const auto work = [&] {
    for (int round = 0; round < 200; ++round) {
      pool.parallel_for(4, [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t i = begin; i < end; ++i) {
          pool.parallel_for(2, [&](std::int64_t b, std::int64_t e, int) { total += static_cast<int>(e - b); });
        }
      });
    }
  };
  std::thread other(work);
  work();
  other.join();
  CHECK(total == 2 * 200 * 4 * 2);
}

TEST_CASE("A worker that has finished helps one that has not") {
  ThreadPool pool(2);
  std::atomic<int> done{0};
  std::atomic<bool> alone{false};
  pool.parallel_for(8, [&](std::int64_t begin, std::int64_t end, int) {
    if (begin == 0) {
      // Only another worker can do what is left of this one's part meanwhile.
      const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
      while (done < 8 - end && !alone) alone = std::chrono::steady_clock::now() > limit;
    }
    done += static_cast<int>(end - begin);
  });
  CHECK(done == 8);
  CHECK_FALSE(alone);
}

TEST_CASE("The default is the usable cores") {
  CHECK(usable_cores() >= 1);
  CHECK(ThreadPool().size() == usable_cores());
}

}  // namespace krait
