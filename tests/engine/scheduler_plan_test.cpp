#include <catch2/catch.hpp>

#include "tests/engine/fakes/scheduler_harness.h"

using namespace krait;
using namespace krait::test;

namespace {

std::vector<int> sizes(const StepPlan& plan) {
  std::vector<int> sizes;
  for (const StepRequest& request : plan.requests) sizes.push_back(static_cast<int>(request.tokens.size()));
  return sizes;
}

std::vector<std::uint64_t> keys(const StepPlan& plan) {
  std::vector<std::uint64_t> keys;
  for (const StepRequest& request : plan.requests) keys.push_back(request.key);
  return keys;
}

}  // namespace

TEST_CASE("a prompt within the budget is one piece that samples", "[scheduler]") {
  Harness h({.max_num_seqs = 4, .max_num_batched_tokens = 100});
  const auto key = h.add(request_of(37, 3));
  const StepPlan plan = h.plan();
  REQUIRE(sizes(plan) == std::vector<int>{37});
  CHECK(plan.requests[0].sample);
  CHECK_FALSE(plan.requests[0].is_decode);
  h.finish_step(plan);
  h.run();
  CHECK(h.outcomes[key].answer == solo_answer(request_of(37, 3)));
  CHECK(h.empty());
}

TEST_CASE("a prompt over the budget is cut at multiples of the tile", "[scheduler]") {
  Harness h({.max_num_seqs = 4, .max_num_batched_tokens = 50});
  h.add(request_of(110, 1));
  h.run();
  CHECK(h.log.piece_sizes == std::vector<int>{48, 48, 14});
}

TEST_CASE("a budget below the tile still moves, one scrap a step", "[scheduler]") {
  Harness h({.max_num_seqs = 4, .max_num_batched_tokens = 7});
  h.add(request_of(16, 1));
  h.run();
  CHECK(h.log.piece_sizes == std::vector<int>{7, 7, 2});
}

TEST_CASE("decodes go first, then short prompts that need not wait for a long one, then the long one", "[scheduler]") {
  Harness h({.max_num_seqs = 4, .max_num_batched_tokens = 34});
  h.add(request_of(10, 5));
  REQUIRE(h.step());
  h.add(request_of(60, 5));
  h.add(request_of(20, 5));
  h.add(request_of(5, 5));
  StepPlan plan = h.plan();
  // Half of the room is for short ones; what has 20 tokens is not one of them.
  CHECK(keys(plan) == std::vector<std::uint64_t>{1, 4, 2});
  CHECK(sizes(plan) == std::vector<int>{1, 5, 16});
  h.finish_step(plan);
  plan = h.plan();
  CHECK(keys(plan) == std::vector<std::uint64_t>{1, 4, 2});
  CHECK(sizes(plan) == std::vector<int>{1, 1, 32});
  h.finish_step(plan);
  plan = h.plan();
  CHECK(keys(plan) == std::vector<std::uint64_t>{1, 4, 2, 3});
  CHECK(sizes(plan) == std::vector<int>{1, 1, 12, 20});
  CHECK(plan.requests[1].is_decode);
  CHECK_FALSE(plan.requests[2].is_decode);
  h.finish_step(plan);
  h.run();
  CHECK(h.log.violations.empty());
  CHECK(h.empty());
}

TEST_CASE("a first piece of one token is a prefill", "[scheduler]") {
  Harness h({.max_num_seqs = 1, .max_num_batched_tokens = 100});
  h.add(request_of(1, 2));
  StepPlan plan = h.plan();
  CHECK_FALSE(plan.requests[0].is_decode);
  h.finish_step(plan);
  CHECK(h.plan().requests[0].is_decode);
}

TEST_CASE("no more requests run than there are seats, in the order of arrival", "[scheduler]") {
  Harness h({.max_num_seqs = 2, .max_num_batched_tokens = 100});
  for (std::uint64_t i = 0; i < 5; ++i) h.add(request_of(4, 3, i));
  CHECK(keys(h.plan()) == std::vector<std::uint64_t>{1, 2});
  CHECK(h.scheduler.num_waiting() == 3);
}

TEST_CASE("a lower priority number is admitted first", "[scheduler]") {
  Harness h({.max_num_seqs = 2, .max_num_batched_tokens = 100});
  for (const int priority : {5, 0, 5, -3}) {
    EngineRequest request = request_of(4, 3);
    request.priority = priority;
    h.add(request);
  }
  CHECK(keys(h.plan()) == std::vector<std::uint64_t>{4, 2});
}

TEST_CASE("a waiting request of higher priority is prefilled before a running one of lower", "[scheduler]") {
  Harness h({.max_num_seqs = 4, .max_num_batched_tokens = 16});
  h.add(request_of(100, 1));
  REQUIRE(h.step());
  EngineRequest urgent = request_of(10, 1);
  urgent.priority = -1;
  h.add(urgent);
  CHECK(keys(h.plan()) == std::vector<std::uint64_t>{2, 1});
}

TEST_CASE("who is preempted after he was planned gives his token back to the step", "[scheduler]") {
  Harness h({.max_num_seqs = 2, .max_num_batched_tokens = 18});
  h.add(request_of(4, 9, 1));
  h.add(request_of(4, 9, 2));
  REQUIRE(h.step());
  EngineRequest urgent = request_of(17, 1, 3);
  urgent.priority = -1;
  h.add(urgent);
  const StepPlan plan = h.plan();
  CHECK(keys(plan) == std::vector<std::uint64_t>{1, 3});
  CHECK(sizes(plan) == std::vector<int>{1, 17});
}

TEST_CASE("with a budget of one token everybody ends", "[scheduler]") {
  Harness h({.max_num_seqs = 8, .max_num_batched_tokens = 1});
  for (std::uint64_t i = 0; i < 8; ++i) h.add(request_of(5, 6, i));
  h.run();
  for (std::uint64_t i = 0; i < 8; ++i) CHECK(h.outcomes[i + 1].answer == solo_answer(request_of(5, 6, i)));
  CHECK(h.log.violations.empty());
}

TEST_CASE("a configuration that can schedule nothing costs requests, not the server", "[scheduler]") {
  Harness h({.max_num_seqs = 2, .max_num_batched_tokens = 0});
  h.add(request_of(5, 6));
  h.add(request_of(5, 6));
  CHECK(h.plan().requests.empty());
  REQUIRE(h.outcomes[2].error);
  CHECK(h.outcomes[1].error->code == ErrorCode::kInternal);
  CHECK_THAT(h.outcomes[1].error->message, Catch::Matchers::Contains("2 waiting"));
  CHECK(h.empty());
}

TEST_CASE("statistics of a request and of the scheduler add up", "[scheduler]") {
  Harness h({.max_num_seqs = 2, .max_num_batched_tokens = 16});
  const TimePoint arrival = h.now;
  const auto key = h.add(request_of(20, 3));
  h.run();
  const RequestStats& stats = h.outcomes[key].stats;
  CHECK(stats.prompt_tokens == 20);
  CHECK(stats.generated_tokens == 3);
  CHECK(stats.first_scheduled == arrival);
  CHECK(stats.first_token == arrival + std::chrono::milliseconds(2));
  CHECK(stats.last_token == arrival + std::chrono::milliseconds(4));
  const EngineStats total = h.scheduler.stats();
  CHECK(total.steps_total == 4);
  CHECK(total.prompt_tokens_total == 20);
  CHECK(total.generation_tokens_total == 3);
  CHECK(total.computed_tokens_total == 22);
  CHECK(total.requests_finished_length == 1);
}
