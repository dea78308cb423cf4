#include "engine/request/request_checks.h"

#include <catch2/catch.hpp>

#include "engine/cache/cache_pools.h"
#include "tests/engine/fakes/scheduler_harness.h"

using Catch::Matchers::Contains;
using namespace krait;
using namespace krait::test;

namespace {

Error refusal(const EngineRequest& request, const EngineConfig& config, std::size_t budget = 1U << 20U) {
  FakePlatform platform;
  const CachePools pools(platform, small_layout(), budget);
  const Status status = check_request(request, config, pools);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == ErrorCode::kInvalidArgument);
  return status.error();
}

}  // namespace

TEST_CASE("an empty prompt is refused", "[engine][checks]") { CHECK(refusal(request_of(0, 5), {}).field == "prompt"); }

TEST_CASE("prompt and max_tokens over the limit: the message has all numbers", "[engine][checks]") {
  const Error error = refusal(request_of(30, 71), {.max_model_len = 100});
  CHECK(error.field == "max_tokens");
  CHECK(error.message == "the prompt has 30 tokens and max_tokens is 71: together 101, over the limit of 100");
}

TEST_CASE("prompt and max_tokens at the limit pass", "[engine][checks]") {
  FakePlatform platform;
  const CachePools pools(platform, small_layout(), 1U << 20U);
  CHECK(check_request(request_of(30, 70), {.max_model_len = 100}, pools).ok());
}

TEST_CASE("a max_tokens that would overflow an int is only too large", "[engine][checks]") {
  CHECK_THAT(refusal(request_of(30, 2147483647), {}).message, Contains("together 2147483677"));
}

TEST_CASE("a request that can never fit the cache is refused with the sizes", "[engine][checks]") {
  // 8 + 5 - 1 = 12 tokens are 3 pages a group: 3 * 80 + 64 bytes.
  const Error error = refusal(request_of(8, 5), {}, 303);
  CHECK_THAT(error.message, Contains("(304 bytes)") && Contains("(303 bytes)") && Contains("--cache-memory"));
  FakePlatform platform;
  const CachePools pools(platform, small_layout(), 304);
  CHECK(check_request(request_of(8, 5), {}, pools).ok());
}

TEST_CASE("token ids outside the vocabulary are refused with their place", "[engine][checks]") {
  EngineRequest request = request_of(3, 1);
  request.prompt[1] = 77;
  const Error error = refusal(request, {.vocab_size = 50});
  CHECK_THAT(error.message, Contains("77") && Contains("position 1") && Contains("0 to 49"));
  request.prompt[1] = -1;
  CHECK(refusal(request, {.vocab_size = 50}).field == "prompt");
}

TEST_CASE("a negative max_tokens is refused", "[engine][checks]") {
  CHECK(refusal(request_of(3, -1), {}).field == "max_tokens");
}
