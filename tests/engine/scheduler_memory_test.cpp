#include <catch2/catch.hpp>

#include "tests/engine/fakes/scheduler_harness.h"

using Catch::Matchers::Contains;
using namespace krait;
using namespace krait::test;

namespace {

/// One KV group of 1-byte-a-token accounting is easier to count by hand: a page of 4 tokens is 32 bytes, a slot 32.
CacheLayout counted_layout() {
  return {.block_size = 4, .kv_groups = {{.name = "kv", .page_bytes = 32, .sliding_window = 0}}, .slot_bytes = 32};
}

constexpr SchedulerConfig kRoomy{.max_num_seqs = 8, .max_num_batched_tokens = 100, .prefill_tile = 16};

EngineRequest with_priority(EngineRequest request, int priority) {
  request.priority = priority;
  return request;
}

}  // namespace

TEST_CASE("when pages run out the youngest is preempted and its answer does not change", "[scheduler][memory]") {
  // Two requests of 4 + 8 tokens need 4 items each at the end; there are 6.
  Harness h(kRoomy, counted_layout(), 6 * 32);
  h.add(request_of(4, 9, 1));
  h.add(request_of(4, 9, 2));
  h.run();
  CHECK(h.log.violations.empty());
  CHECK(h.outcomes[1].answer == solo_answer(request_of(4, 9, 1)));
  CHECK(h.outcomes[2].answer == solo_answer(request_of(4, 9, 2)));
  CHECK(h.outcomes[1].stats.preemptions == 0);
  CHECK(h.outcomes[2].stats.preemptions == 1);
  CHECK(h.scheduler.stats().preemptions_total == 1);
  CHECK(h.scheduler.stats().prompt_tokens_total == 8);
  CHECK(h.empty());
}

TEST_CASE("lower priority is preempted before youth", "[scheduler][memory]") {
  Harness h(kRoomy, counted_layout(), 8 * 32);
  h.add(with_priority(request_of(4, 9, 1), 1));
  h.add(request_of(4, 9, 2));
  h.add(request_of(4, 9, 3));
  h.run();
  CHECK(h.outcomes[1].stats.preemptions > 0);
  CHECK(h.outcomes[2].stats.preemptions == 0);
  for (std::uint64_t key = 1; key <= 3; ++key) CHECK(h.outcomes[key].answer == solo_answer(request_of(4, 9, key)));
}

TEST_CASE("an urgent request takes memory and seat of a lower one, an equal one waits", "[scheduler][memory]") {
  Harness h({.max_num_seqs = 1, .max_num_batched_tokens = 100}, counted_layout(), 100 * 32);
  h.add(request_of(4, 9, 1));
  REQUIRE(h.step());
  h.add(request_of(4, 9, 2));
  REQUIRE(h.step());
  CHECK(h.scheduler.stats().preemptions_total == 0);
  h.add(with_priority(request_of(4, 9, 3), -1));
  const StepPlan plan = h.plan();
  REQUIRE(plan.requests.size() == 1);
  CHECK(plan.requests[0].key == 3);
  h.finish_step(plan);
  h.run();
  CHECK(h.outcomes[1].stats.preemptions == 1);
  for (std::uint64_t key = 1; key <= 3; ++key) CHECK(h.outcomes[key].answer == solo_answer(request_of(4, 9, key)));
}

TEST_CASE("nobody is preempted in vain for an urgent request that would still not fit", "[scheduler][memory]") {
  Harness h(kRoomy, counted_layout(), 10 * 32);
  h.add(with_priority(request_of(16, 9, 1), -1));  // 5 items now
  h.add(with_priority(request_of(4, 2, 2), 5));    // 2 items
  REQUIRE(h.step());
  h.add(with_priority(request_of(24, 1, 3), 0));  // would need 7; 3 are free and 2 could be
  h.plan();
  CHECK(h.scheduler.stats().preemptions_total == 0);
}

TEST_CASE("a long prompt that does not fit beside the others waits for them", "[scheduler][memory]") {
  Harness h(kRoomy, counted_layout(), 10 * 32);
  h.add(request_of(12, 5, 1));
  REQUIRE(h.step());
  h.add(request_of(30, 1, 2));
  h.run();
  CHECK(h.scheduler.stats().preemptions_total == 0);
  CHECK(h.outcomes[2].answer == solo_answer(request_of(30, 1, 2)));
}

TEST_CASE("a request that outgrows the whole memory fails itself with the numbers", "[scheduler][memory]") {
  Harness h(kRoomy, counted_layout(), 3 * 32);  // a slot and 8 tokens
  h.add(request_of(4, 20, 1));
  h.add(request_of(4, 2, 2));
  h.run();
  REQUIRE(h.outcomes[1].error);
  CHECK(h.outcomes[1].error->code == ErrorCode::kResourceExhausted);
  CHECK_THAT(h.outcomes[1].error->message, Contains("96 of 96 bytes"));
  CHECK(h.outcomes[1].answer.tokens.size() == 5);  // the fifth is sampled after the eighth token
  CHECK(h.outcomes[2].answer == solo_answer(request_of(4, 2, 2)));
  CHECK(h.empty());
}

TEST_CASE("a machine that cannot back the budget fails one request at a time", "[scheduler][memory]") {
  Harness h(kRoomy, counted_layout(), 100 * 32);
  h.platform.commit_limit = 4 * 32;
  h.add(request_of(4, 3, 1));
  h.add(request_of(40, 3, 2));
  h.add(request_of(4, 3, 3));
  h.run();
  // What was committed at the start stays usable; no answer may be wrong, and everybody ends.
  for (std::uint64_t key = 1; key <= 3; ++key) {
    if (!h.outcomes[key].error)
      CHECK(h.outcomes[key].answer ==
            solo_answer(h.outcomes[key].stats.prompt_tokens == 40 ? request_of(40, 3, 2) : request_of(4, 3, key)));
    CHECK(h.outcomes[key].answer.finish);
  }
  CHECK(h.empty());
}

TEST_CASE("models without state and without attention schedule too", "[scheduler][memory]") {
  CacheLayout attention = counted_layout();
  attention.slot_bytes = 0;
  CacheLayout mamba = counted_layout();
  mamba.kv_groups.clear();
  for (const CacheLayout& layout : {attention, mamba}) {
    Harness h(kRoomy, layout, 7 * 32);
    for (std::uint64_t i = 1; i <= 9; ++i) h.add(request_of(5, 10, i));
    h.run();
    CHECK(h.log.violations.empty());
    for (std::uint64_t i = 1; i <= 9; ++i) CHECK(h.outcomes[i].answer == solo_answer(request_of(5, 10, i)));
    CHECK(h.empty());
  }
}

TEST_CASE("under every token budget and heavy memory pressure answers are those of a solo run", "[scheduler][memory]") {
  for (const int budget : {1, 7, 15, 16, 100, 2048}) {
    INFO("budget " << budget);
    Harness h({.max_num_seqs = 16, .max_num_batched_tokens = budget}, small_layout(), 3000);
    std::vector<EngineRequest> requests;
    for (std::uint64_t i = 0; i < 60; ++i) requests.push_back(request_of(5 + static_cast<int>(i * 7 % 40), 30, i));
    for (std::size_t i = 0; i < requests.size(); ++i) {
      h.add(requests[i]);
      if (i % 3 == 0) h.step();
    }
    h.run();
    CHECK(h.log.violations == std::vector<std::string>{});
    for (std::size_t i = 0; i < requests.size(); ++i) CHECK(h.outcomes[i + 1].answer == solo_answer(requests[i]));
    const EngineStats stats = h.scheduler.stats();
    if (budget >= 15) CHECK(stats.preemptions_total >= 20);
    if (budget == 7 || budget == 15 || budget == 16) CHECK(stats.mixed_steps_total >= 100);
    CHECK(stats.mixed_steps_total == h.log.mixed_steps);
    CHECK(h.empty());
  }
}
