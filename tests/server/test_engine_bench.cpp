#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "server/cli/engine_bench.h"
#include "tests/server/fake_engine.h"

namespace krait::server {
namespace {

TEST_CASE("Lists of tests are integers in their range, and the error names the flag") {
  CHECK(*parse_test_list("512,2048", "--prompt", 0) == std::vector{512, 2048});
  CHECK(*parse_test_list("0", "--prompt", 0) == std::vector{0});
  for (const char* wrong : {"", ",", "1,", "1,,2", "x", "1x", "-1", "1.5", "1000001", "99999999999999999999"}) {
    CAPTURE(wrong);
    const auto list = parse_test_list(wrong, "--prompt", 0);
    REQUIRE_FALSE(list.ok());
    CHECK(list.error().field == "--prompt");
  }
  CHECK_FALSE(parse_test_list("0", "--batch", 1).ok());
}

TEST_CASE("Tests are all combinations, prompts first; zeros are none") {
  const auto tests = make_engine_tests({16, 0}, {8}, {0, 32}, {1, 4});
  std::vector<std::string> names;
  for (const EngineTest& test : tests) names.push_back(test.name() + " x" + std::to_string(test.batch));
  CHECK(names == std::vector<std::string>{"pp16 x1", "pp16 x4", "tg8 x1", "tg8 x4", "tg8 @ d32 x1", "tg8 @ d32 x4"});
  CHECK(make_engine_tests({0}, {0}, {0}, {1}).empty());
}

TEST_CASE("A test that the engine cannot hold is refused before it runs") {
  EngineConfig config;
  config.max_num_seqs = 4;
  config.max_model_len = 100;
  CHECK(check_engine_test({.prompt = 99, .batch = 4}, config).ok());
  CHECK_FALSE(check_engine_test({.prompt = 100, .batch = 1}, config).ok());
  CHECK_FALSE(check_engine_test({.prompt = 1, .batch = 5}, config).ok());
  CHECK(check_engine_test({.generate = 60, .depth = 39}, config).ok());
  CHECK_FALSE(check_engine_test({.generate = 60, .depth = 40}, config).ok());
}

TEST_CASE("A step moves streamed weights once, and each sequence's state twice") {
  ModelSummary summary;
  summary.weight_bytes = 1000;
  summary.lookup_bytes = 400;
  summary.state_bytes_per_request = 50;
  summary.kv_bytes_per_token = 2;
  CHECK(decode_step_bytes(summary, {.generate = 20, .depth = 30, .batch = 3}) == 600 + 3 * (100 + 2 * 40));
}

TEST_CASE("Every repetition is a run of new requests, after one that does not count") {
  FakeEngine engine;
  EngineBench bench(engine);
  const EngineTestResult prompts = bench.measure({.prompt = 8, .batch = 2}, 3);
  CHECK(prompts.tokens_per_second.size() == 3);
  const auto submitted = engine.submitted();
  REQUIRE(submitted.size() == 8);
  for (const EngineRequest& request : submitted) {
    CHECK(request.prompt.size() == 8);
    CHECK(request.sampling.max_tokens == 1);
  }
  CHECK(submitted[0].prompt != submitted[1].prompt);
  CHECK(submitted[0].prompt != submitted[2].prompt);
  CHECK(engine.becomes_idle());
}

TEST_CASE("A generation is timed from the last sequence's first token, and leaves nothing running") {
  FakeEngine engine;
  engine.set_token_interval(std::chrono::microseconds(200));
  EngineBench bench(engine);
  CHECK(bench.run({.generate = 10, .depth = 4, .batch = 3}) > 0.0);
  CHECK(engine.submitted().size() == 3);
  CHECK(engine.submitted()[0].prompt.size() == 4);
  CHECK(engine.becomes_idle());
}

TEST_CASE("A failing engine ends the measurement with its message") {
  FakeEngine engine;
  EngineBench bench(engine);
  engine.fail_with(Error{.code = ErrorCode::kInternal, .message = "no luck", .field = {}});
  CHECK_THROWS_WITH(bench.run({.generate = 10}), "no luck");
  engine.fail_with(std::nullopt);
  engine.refuse_with(Error{.code = ErrorCode::kUnavailable, .message = "draining", .field = {}});
  CHECK_THROWS_WITH(bench.run({.prompt = 10}), "draining");
}

}  // namespace
}  // namespace krait::server
