#include "engine/engine.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <thread>

#include "tests/engine/fakes/scheduler_harness.h"

using Catch::Matchers::Contains;
using namespace krait;
using namespace krait::test;
using namespace std::chrono_literals;

namespace {

EngineRequest named(const std::string& id, EngineRequest request) {
  request.id = id;
  return request;
}

Outcome read_all(TokenStream& stream) {
  Outcome outcome;
  while (!outcome.answer.finish) outcome.take(stream.pop());
  return outcome;
}

/// An engine on fakes. `before` and `tamper` must be set before the first submit.
struct EngineFixture {
  explicit EngineFixture(EngineConfig config_in = {}, std::size_t budget = std::size_t{1} << 20U)
      : config(config_in), pools(std::make_shared<CachePools>(platform, small_layout(), budget)) {
    auto owned = std::make_unique<FakeRunner>(*pools, log, config.max_num_batched_tokens, config.max_num_seqs);
    runner = owned.get();
    engine = make_engine(config, pools, std::move(owned));
  }
  std::shared_ptr<TokenStream> submit(const std::string& id, const EngineRequest& request) const {
    auto stream = engine->submit(named(id, request));
    REQUIRE(stream.ok());
    return *stream;
  }
  /// Ends the engine and looks at what is left.
  void end() {
    engine.reset();
    CHECK(log.violations == std::vector<std::string>{});
    CHECK(pools->budget().used() == 0);
  }

  FakePlatform platform;
  EngineConfig config;
  std::shared_ptr<CachePools> pools;
  RunnerLog log;
  FakeRunner* runner = nullptr;
  std::unique_ptr<Engine> engine;
};

/// Holds the runner inside a step until it is opened.
class Gate {
 public:
  void wait() {
    entered_ = true;
    opened_.get_future().wait();
  }
  void open() { opened_.set_value(); }
  void await_entry() const {
    while (!entered_) std::this_thread::sleep_for(1ms);
  }
  /// For FakeRunner::before: the first step waits, later ones do not.
  std::function<void(const StepPlan&)> hold_first() {
    return [this](const StepPlan& /*plan*/) {
      if (!entered_) wait();
    };
  }

 private:
  std::atomic<bool> entered_ = false;
  std::promise<void> opened_;
};

}  // namespace

TEST_CASE("the engine streams the answer and counts it", "[engine]") {
  EngineFixture f;
  CHECK(f.engine->ready());
  const auto stream = f.submit("a", request_of(20, 8));
  const Outcome outcome = read_all(*stream);
  CHECK(outcome.answer == solo_answer(request_of(20, 8)));
  const EngineStats stats = f.engine->stats();
  CHECK(stats.requests_finished_length == 1);
  CHECK(stats.requests_running == 0);
  CHECK(stats.cache_bytes_used == 0);
  CHECK(stats.cache_bytes_total == std::size_t{1} << 20U);
  CHECK(stats.generation_tokens_total == 8);
  f.end();
}

TEST_CASE("what cannot be served is refused at submit", "[engine]") {
  EngineFixture f({.max_model_len = 50}, 1000);
  CHECK(f.engine->submit(named("a", request_of(0, 1))).error().field == "prompt");
  CHECK_THAT(f.engine->submit(named("a", request_of(10, 41))).error().message, Contains("over the limit of 50"));
  CHECK_THAT(f.engine->submit(named("a", request_of(49, 1))).error().message, Contains("bytes"));
  CHECK(f.engine->stats().requests_waiting == 0);
  f.end();
}

TEST_CASE("one more than the waiting queue holds is refused, and the queue recovers", "[engine]") {
  EngineFixture f({.max_num_seqs = 1, .max_queue = 2});
  Gate gate;
  f.runner->before = gate.hold_first();
  std::vector<std::shared_ptr<TokenStream>> streams{f.submit("running", request_of(5, 3))};
  gate.await_entry();
  streams.push_back(f.submit("first", request_of(5, 3)));
  streams.push_back(f.submit("second", request_of(5, 3)));
  CHECK(f.engine->stats().requests_waiting == 2);
  CHECK(f.engine->stats().requests_running == 1);
  const auto refused = f.engine->submit(named("third", request_of(5, 3)));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::kResourceExhausted);
  CHECK_THAT(refused.error().message, Contains("2 requests"));
  gate.open();
  for (const auto& stream : streams) CHECK(read_all(*stream).answer == solo_answer(request_of(5, 3)));
  CHECK(read_all(*f.submit("third", request_of(5, 3))).answer.tokens.size() == 3);
  f.end();
}

TEST_CASE("two live requests cannot share an id, but an ended one gives it back", "[engine]") {
  EngineFixture f;
  Gate gate;
  f.runner->before = gate.hold_first();
  const auto stream = f.submit("same", request_of(5, 3));
  CHECK(f.engine->submit(named("same", request_of(5, 3))).error().field == "request_id");
  gate.open();
  read_all(*stream);
  read_all(*f.submit("same", request_of(5, 3)));
  f.end();
}

TEST_CASE("an abort ends the stream with its reason, even in the middle of a step", "[engine]") {
  EngineFixture f({.max_num_seqs = 1});
  Gate gate;
  f.runner->before = gate.hold_first();
  const auto running = f.submit("running", request_of(5, 3000));
  gate.await_entry();
  const auto waiting = f.submit("waiting", request_of(5, 3000));
  f.engine->abort("running", FinishReason::kStop);
  f.engine->abort("waiting", FinishReason::kAborted);
  f.engine->abort("unknown", FinishReason::kAborted);
  gate.open();
  CHECK(read_all(*running).answer.finish == FinishReason::kStop);
  CHECK(read_all(*waiting).answer.finish == FinishReason::kAborted);
  f.end();
}

TEST_CASE("drain lets running requests end and refuses new ones", "[engine]") {
  EngineFixture f;
  const auto stream = f.submit("a", request_of(5, 200));
  f.engine->drain(60s);
  CHECK_FALSE(f.engine->ready());
  CHECK(f.engine->submit(named("b", request_of(0, 3))).error().code == ErrorCode::kUnavailable);
  std::optional<FinishReason> finish;
  while (auto event = stream->try_pop()) finish = event->finish;
  CHECK(finish == FinishReason::kLength);
  f.end();
}

TEST_CASE("drain aborts what is left at its deadline", "[engine]") {
  EngineFixture f;
  f.runner->before = [](const StepPlan& /*plan*/) { std::this_thread::sleep_for(2ms); };
  const auto stream = f.submit("a", request_of(5, 3000));
  f.engine->drain(20ms);
  CHECK(read_all(*stream).answer.finish == FinishReason::kAborted);
  CHECK(f.engine->stats().cache_bytes_used == 0);
  f.end();
}

TEST_CASE("drain of an idle engine returns at once", "[engine]") {
  EngineFixture f;
  f.engine->drain(0ms);
  f.engine->drain(0ms);
  f.end();
}

TEST_CASE("the destructor ends what is left, taken or not", "[engine]") {
  EngineFixture f({.max_num_seqs = 1});
  Gate gate;
  f.runner->before = gate.hold_first();
  const auto running = f.submit("running", request_of(5, 3000));
  gate.await_entry();
  const auto untaken = f.submit("untaken", request_of(5, 3000));
  std::thread opener([&] {
    std::this_thread::sleep_for(5ms);
    gate.open();
  });
  f.end();
  opener.join();
  CHECK(read_all(*running).answer.finish == FinishReason::kAborted);
  CHECK(read_all(*untaken).answer.finish == FinishReason::kAborted);
}

TEST_CASE("a step that throws costs its requests; the engine goes on", "[engine]") {
  EngineFixture f;
  bool thrown = false;
  f.runner->before = [&](const StepPlan& /*plan*/) {
    if (!std::exchange(thrown, true)) throw std::runtime_error("no memory on the device");
  };
  const Outcome lost = read_all(*f.submit("a", request_of(5, 3)));
  REQUIRE(lost.error);
  CHECK(lost.error->code == ErrorCode::kInternal);
  CHECK_THAT(lost.error->message, Contains("no memory on the device"));
  CHECK(f.engine->ready());
  CHECK(read_all(*f.submit("b", request_of(5, 3))).answer == solo_answer(request_of(5, 3)));
  f.end();
}

TEST_CASE("a runner that keeps throwing ends readiness, and every stream", "[engine]") {
  EngineFixture f({.max_num_seqs = 1});
  Gate gate;
  f.runner->before = [&](const StepPlan& /*plan*/) {
    gate.hold_first()({});
    throw std::runtime_error("gone");
  };
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (int i = 0; i < 6; ++i) streams.push_back(f.submit(std::to_string(i), request_of(5, 3)));
  gate.open();
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const Outcome outcome = read_all(*streams[i]);
    REQUIRE(outcome.error);
    CHECK(outcome.error->code == (i < 3 ? ErrorCode::kInternal : ErrorCode::kUnavailable));
  }
  CHECK_FALSE(f.engine->ready());
  const auto refused = f.engine->submit(named("late", request_of(5, 3)));
  CHECK(refused.error().code == ErrorCode::kUnavailable);
  CHECK_THAT(refused.error().message, Contains("gone"));
  f.engine->drain(10s);
  f.end();
}

TEST_CASE("a listener may submit and abort from the engine's thread", "[engine]") {
  EngineFixture f;
  std::promise<std::shared_ptr<TokenStream>> second;
  std::atomic<bool> once = false;
  const auto stream = f.submit("a", request_of(5, 500));
  stream->set_listener([&] {
    if (once.exchange(true)) return;
    second.set_value(f.submit("b", request_of(5, 3)));
    f.engine->abort("a", FinishReason::kStop);
  });
  CHECK(read_all(*second.get_future().get()).answer == solo_answer(request_of(5, 3)));
  read_all(*stream);
  f.end();
}

TEST_CASE("a configuration without seats or tokens is refused at start-up", "[engine]") {
  CHECK_THROWS_AS(EngineFixture({.max_num_seqs = 0}), StartupError);
  CHECK_THROWS_AS(EngineFixture({.max_num_batched_tokens = 0}), StartupError);
}

TEST_CASE("a step that is lost takes the one planned ahead of its outcome along, and no other request", "[engine]") {
  EngineFixture f;
  f.runner->ahead = true;
  int steps = 0;
  f.runner->before = [&](const StepPlan& /*plan*/) {
    if (++steps == 6) throw std::runtime_error("the device is gone");
  };
  const Outcome lost = read_all(*f.submit("lost", request_of(5, 40)));
  REQUIRE(lost.error);
  CHECK_THAT(lost.error->message, Contains("the device is gone"));
  CHECK(lost.answer.tokens.size() == 5);
  const EngineRequest next = request_of(5, 12, 3);
  CHECK(read_all(*f.submit("next", next)).answer == solo_answer(next));
  CHECK(f.log.ahead_steps > 10);
  f.end();
}

TEST_CASE("a request that arrives while steps are planned ahead is not kept waiting by them", "[engine]") {
  EngineFixture f;
  f.runner->ahead = true;
  Gate gate;
  f.runner->before = [&, steps = 0](const StepPlan& /*plan*/) mutable {
    if (++steps == 4) gate.wait();
  };
  const EngineRequest endless = request_of(5, 200);
  const auto first = f.submit("first", endless);
  gate.await_entry();
  const EngineRequest later = request_of(7, 3, 2);
  const auto second = f.submit("second", later);
  gate.open();
  CHECK(read_all(*second).answer == solo_answer(later));
  f.engine->abort("first", FinishReason::kAborted);
  read_all(*first);
  f.end();
}
