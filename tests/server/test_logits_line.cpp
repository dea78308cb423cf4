#include <catch2/catch.hpp>

#include "server/cli/logits_line.h"
#include "tests/server/fake_engine.h"

namespace krait::server {
namespace {

TEST_CASE("Logits of every position, greedy tokens and nine digits") {
  FakeEngine engine;
  CHECK(
      answer_logits_line(R"({"ids": [5, 6], "generate": 3})", engine, "a") ==
      R"({"logits":[[0.100000001,-0.333333343],[0.100000001,-0.333333343]],"tokens":[5,6,5],"logprobs":[-0.5,-0.5,-0.5]})");
  const EngineRequest request = engine.submitted().at(0);
  CHECK(request.prompt_logits == PromptLogits::kAll);
  CHECK(request.sampling.temperature == 0);
  CHECK(request.sampling.ignore_eos);
}

TEST_CASE("Logits of the last position alone, without generating") {
  FakeEngine engine;
  CHECK(answer_logits_line(R"({"ids": [5, 6], "positions": "last"})", engine, "a") ==
        R"({"logits":[[0.100000001,-0.333333343]],"tokens":[],"logprobs":[]})");
  CHECK(engine.submitted().at(0).prompt_logits == PromptLogits::kLast);
}

TEST_CASE("A wrong line is answered with an error") {
  FakeEngine engine;
  for (const char* line :
       {"x", "{}", R"({"ids": []})", R"({"ids": [1000]})", R"({"ids": [-1]})", R"({"ids": [1], "generate": -1})",
        R"({"ids": [1], "positions": "first"})", R"({"ids": "a"})", R"({"ids": [99999999999]})"}) {
    INFO(line);
    CHECK_THAT(answer_logits_line(line, engine, "a"), Catch::StartsWith(R"({"error":")"));
  }
  CHECK(engine.submitted().empty());
}

TEST_CASE("The engine's refusal is an error line") {
  FakeEngine engine;
  engine.refuse_with(Error{.code = ErrorCode::kInvalidArgument, .message = "too long", .field = {}});
  CHECK(answer_logits_line(R"({"ids": [1]})", engine, "a") == R"({"error":"too long"})");
}

}  // namespace
}  // namespace krait::server
