#include <catch2/catch.hpp>
#include <stdexcept>
#include <thread>

#include "engine/cache/prefix_index.h"
#include "engine/engine.h"
#include "tests/engine/fakes/scheduler_harness.h"

using namespace krait;
using namespace krait::test;

namespace {

EngineConfig small_config() {
  EngineConfig config{.max_num_seqs = 4, .max_num_batched_tokens = 16};
  config.snapshots.block_size = 4;
  config.model_hash = 11;
  config.cache_formats_hash = 12;
  return config;
}

struct CachingEngine {
  CachingEngine() : pools(std::make_shared<CachePools>(platform, small_layout(), std::size_t{1} << 20U)) {
    pools->enable_prefix_index();
    auto owned = std::make_unique<FakeRunner>(*pools, log, 16, 4);
    runner = owned.get();
    engine = make_engine(small_config(), pools, std::move(owned));
  }
  Outcome ask(std::uint64_t key, EngineRequest request) {
    runner->learn(key, request.prompt);
    request.id = std::to_string(key);
    const auto stream = engine->submit(std::move(request)).value();
    Outcome outcome;
    while (!outcome.answer.finish) outcome.take(stream->pop());
    return outcome;
  }

  FakePlatform platform;
  std::shared_ptr<CachePools> pools;
  RunnerLog log;
  FakeRunner* runner = nullptr;
  std::unique_ptr<Engine> engine;
};

}  // namespace

TEST_CASE("an engine gives contexts out and takes them in, from any thread and beside requests", "[engine]") {
  CachingEngine from;
  CachingEngine to;
  const EngineRequest request = request_of(40, 8, 3);
  std::vector<std::int32_t> tokens = request.prompt;
  const Outcome first = from.ask(1, request);
  tokens.insert(tokens.end(), first.answer.tokens.begin(), first.answer.tokens.end());

  CHECK(from.engine->context_identity().model == 11);
  CHECK(from.engine->context_identity().layout_hash() == to.engine->context_identity().layout_hash());
  std::thread company([&] { to.ask(1, request_of(30, 20, 4)); });
  const auto image = from.engine->export_context("", tokens);
  REQUIRE(image.ok());
  CHECK(image->tokens.size() == 44);
  const std::string bytes = serialize_context(*image, from.engine->context_identity());
  auto back = parse_context(bytes, to.engine->context_identity(), "file");
  REQUIRE(back.ok());
  REQUIRE(to.engine->import_context(*std::move(back)).ok());
  company.join();

  EngineRequest next = request_of(2, 8, 5);
  next.prompt.insert(next.prompt.begin(), tokens.begin(), tokens.end());
  const Outcome outcome = to.ask(2, next);
  CHECK(outcome.answer == solo_answer(next));
  CHECK(outcome.stats.cached_tokens == 44);
  from.engine.reset();
  to.engine.reset();
  CHECK(from.log.violations == std::vector<std::string>{});
  CHECK(to.log.violations == std::vector<std::string>{});
}

TEST_CASE("a draining engine still gives contexts out, one that has failed for good says so", "[engine]") {
  CachingEngine f;
  const EngineRequest request = request_of(20, 4, 3);
  f.ask(1, request);
  f.runner->before = [](const StepPlan& /*plan*/) { throw std::runtime_error("no device"); };
  for (std::uint64_t key = 2; key < 5; ++key) f.ask(key, request_of(5, 1, key));
  const auto dead = f.engine->export_context("", request.prompt);
  REQUIRE_FALSE(dead.ok());
  CHECK(dead.error().code == ErrorCode::kUnavailable);
  CHECK(f.engine->import_context({}).error().code == ErrorCode::kUnavailable);

  CachingEngine draining;
  draining.ask(1, request);
  draining.engine->drain(std::chrono::seconds(1));
  const auto image = draining.engine->export_context("", request.prompt);
  REQUIRE(image.ok());
  CHECK(image->tokens.size() == 20);
}
