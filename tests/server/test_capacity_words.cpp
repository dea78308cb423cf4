#include <catch2/catch.hpp>

#include "server/cli/capacity_words.h"

namespace krait::server {
namespace {

TEST_CASE("Digits are grouped from the right") {
  CHECK(grouped_digits(0) == "0");
  CHECK(grouped_digits(999) == "999");
  CHECK(grouped_digits(1000) == "1,000");
  CHECK(grouped_digits(131072) == "131,072");
  CHECK(grouped_digits(-1234567) == "-1,234,567");
}

TEST_CASE("The cache's size is told in tokens and in requests") {
  ModelSummary summary;
  summary.cache_budget_bytes = std::size_t{8} << 30U;
  summary.state_bytes_per_request = 22U << 20U;
  summary.max_model_len = 131072;
  summary.cache_capacity = {.requests = 371,
                            .requests_of_full_len = 15,
                            .usual_tokens = 4096,
                            .requests_of_usual_len = 215,
                            .usual_request_bytes = std::size_t{38} << 20U,
                            .tokens = 2093056};
  CHECK(capacity_words(summary) ==
        "8.0 GiB: 2,093,056 tokens of KV, or 215 requests of 4,096 tokens with their states (38.0 MiB each)");
  CHECK(at_once_words(summary) == "at most 371 requests at once, 15 of 131,072 tokens");
  summary.cache_capacity.tokens.reset();
  CHECK(capacity_words(summary) == "8.0 GiB: 215 requests of 4,096 tokens with their states (38.0 MiB each)");
  summary.state_bytes_per_request = 0;
  summary.cache_capacity.tokens = 1;
  summary.cache_capacity.requests_of_usual_len = 1;
  CHECK(capacity_words(summary) == "8.0 GiB: 1 token of KV, or 1 request of 4,096 tokens (38.0 MiB each)");
}

}  // namespace
}  // namespace krait::server
