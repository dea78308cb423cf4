#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "engine/engine.h"
#include "tests/engine/fakes/scheduler_harness.h"

using namespace krait;
using namespace krait::test;

namespace {

struct Tally {
  std::atomic<int> whole = 0;
  std::atomic<int> aborted = 0;
  std::atomic<int> wrong = 0;
};

EngineRequest random_request(std::mt19937_64& random, const std::string& id) {
  EngineRequest request =
      request_of(static_cast<int>(random() % 30) + 1, static_cast<int>(random() % 20) + 1, random());
  request.id = id;
  request.priority = static_cast<int>(random() % 3);
  return request;
}

/// A client: submits, reads, and aborts every fourth of its requests in the middle.
void client(Engine& engine, int number, int requests, Tally& tally) {
  std::mt19937_64 random(static_cast<std::uint64_t>(number));
  for (int i = 0; i < requests; ++i) {
    const EngineRequest request = random_request(random, std::to_string(number) + "-" + std::to_string(i));
    auto stream = engine.submit(request);
    if (!stream.ok()) {
      ++tally.wrong;
      continue;
    }
    const bool abort = random() % 4 == 0;
    if (abort && random() % 2 == 0) engine.abort(request.id, FinishReason::kAborted);
    Outcome outcome;
    while (!outcome.answer.finish) {
      outcome.take((*stream)->pop());
      if (abort) engine.abort(request.id, FinishReason::kAborted);
    }
    if (outcome.answer == solo_answer(request)) {
      ++tally.whole;
    } else if (abort && outcome.answer.finish == FinishReason::kAborted) {
      ++tally.aborted;
    } else {
      ++tally.wrong;
    }
  }
}

}  // namespace

TEST_CASE("many threads submit, read, abort and look on at once", "[engine][stress]") {
  const bool ahead = GENERATE(false, true);
  CAPTURE(ahead);
  constexpr int kClients = 8;
  constexpr int kRequests = 60;
  FakePlatform platform;
  RunnerLog log;
  const EngineConfig config{.max_num_seqs = 6, .max_num_batched_tokens = 24, .max_queue = 100};
  auto pools = std::make_shared<CachePools>(platform, small_layout(), 2500);
  auto runner = std::make_unique<FakeRunner>(*pools, log, 24, 6);
  runner->ahead = ahead;
  auto engine = make_engine(config, pools, std::move(runner));

  Tally tally;
  std::atomic<bool> done = false;
  std::thread onlooker([&] {
    while (!done) {
      const EngineStats stats = engine->stats();
      if (stats.cache_bytes_used > stats.cache_bytes_total || !engine->ready()) ++tally.wrong;
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) clients.emplace_back([&, i] { client(*engine, i, kRequests, tally); });
  for (std::thread& thread : clients) thread.join();
  done = true;
  onlooker.join();

  const EngineStats stats = engine->stats();
  engine.reset();
  CHECK(tally.wrong == 0);
  CHECK(tally.whole + tally.aborted == kClients * kRequests);
  CHECK(tally.whole > 0);
  CHECK(pools->budget().used() == 0);
  CHECK((log.ahead_steps > 0) == ahead);
  CHECK(stats.requests_finished_length + stats.requests_finished_abort == kClients * kRequests);
  CHECK(log.violations == std::vector<std::string>{});
}
