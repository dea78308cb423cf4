#include <catch2/catch.hpp>

#include "tests/engine/fakes/scheduler_harness.h"

using Catch::Matchers::Contains;
using namespace krait;
using namespace krait::test;

namespace {

constexpr SchedulerConfig kRoomy{.max_num_seqs = 8, .max_num_batched_tokens = 100, .prefill_tile = 16};

/// Runs it alone in a roomy scheduler.
Outcome run_alone(const EngineRequest& request, SchedulerConfig config = kRoomy) {
  Harness h(config);
  const auto key = h.add(request);
  h.run();
  CHECK(h.log.violations.empty());
  CHECK(h.empty());
  return h.outcomes[key];
}

}  // namespace

TEST_CASE("a stop token ends the answer, is named, and is part of it", "[scheduler][outcome]") {
  EngineRequest request = request_of(5, 50);
  const auto tokens = solo_answer(request).tokens;
  request.sampling.stop_token_ids = {tokens[7]};
  const Outcome outcome = run_alone(request);
  CHECK(outcome.answer == solo_answer(request));
  CHECK(outcome.answer.finish == FinishReason::kStop);
  CHECK(outcome.answer.stop_token == tokens[7]);
  CHECK(outcome.answer.tokens.back() == tokens[7]);
}

TEST_CASE("a stop token at max_tokens is a stop", "[scheduler][outcome]") {
  EngineRequest request = request_of(5, 1);
  request.sampling.stop_token_ids = solo_answer(request).tokens;
  CHECK(run_alone(request).answer.finish == FinishReason::kStop);
}

TEST_CASE("before min_tokens the stop tokens are banned from sampling", "[scheduler][outcome]") {
  EngineRequest request = request_of(5, 20);
  for (std::int32_t token = 0; token < kVocab - 1; ++token) request.sampling.stop_token_ids.push_back(token);
  CHECK(run_alone(request).answer.tokens.size() == 1);
  request.sampling.min_tokens = 6;
  const Outcome outcome = run_alone(request);
  CHECK(outcome.answer.tokens.size() >= 7);
  CHECK(outcome.answer == solo_answer(request));
  for (std::size_t i = 0; i < 6; ++i) CHECK(outcome.answer.tokens[i] == kVocab - 1);
}

TEST_CASE("without stop tokens the answer has max_tokens", "[scheduler][outcome]") {
  const Outcome outcome = run_alone(request_of(5, 20));
  CHECK(outcome.answer.tokens.size() == 20);
  CHECK(outcome.answer.finish == FinishReason::kLength);
}

TEST_CASE("max_tokens of 0 ends after the prompt, with its rows of logits", "[scheduler][outcome]") {
  EngineRequest request = request_of(40, 0);
  request.prompt_logits = PromptLogits::kAll;
  const Outcome outcome = run_alone(request, {.max_num_seqs = 1, .max_num_batched_tokens = 16});
  CHECK(outcome.answer == solo_answer(request));
  CHECK(outcome.answer.logits.size() == 40);
  CHECK(outcome.answer.finish == FinishReason::kLength);
}

TEST_CASE("rows of logits come once and in order, whatever was asked and however the prompt is cut",
          "[scheduler][outcome]") {
  for (const PromptLogits prompt : {PromptLogits::kNone, PromptLogits::kLast, PromptLogits::kAll}) {
    for (const bool generated : {false, true}) {
      for (const int budget : {1, 7, 16, 100}) {
        EngineRequest request = request_of(33, 5);
        request.prompt_logits = prompt;
        request.generated_logits = generated;
        CHECK(run_alone(request, {.max_num_seqs = 1, .max_num_batched_tokens = budget}).answer == solo_answer(request));
      }
    }
  }
}

TEST_CASE("no row of logits is delivered twice after a preemption", "[scheduler][outcome]") {
  Harness h({.max_num_seqs = 2, .max_num_batched_tokens = 16});
  EngineRequest request = request_of(40, 6);
  request.prompt_logits = PromptLogits::kAll;
  request.generated_logits = true;
  const auto key = h.add(request);
  for (const int steps_before : {1, 3, 7}) {  // in its prompt, further on in it, in its answer
    for (int i = 0; i < steps_before; ++i) REQUIRE(h.step());
    EngineRequest urgent = request_of(3, 1);
    urgent.priority = -1;
    h.add(urgent);
    h.add(urgent);
  }
  h.run();
  CHECK(h.outcomes[key].stats.preemptions == 3);
  CHECK(h.outcomes[key].answer == solo_answer(request));
  CHECK(h.log.violations.empty());
}

TEST_CASE("an error of one request leaves its neighbours alone", "[scheduler][outcome]") {
  Harness h(kRoomy);
  for (std::uint64_t i = 1; i <= 4; ++i) h.add(request_of(5, 10, i));
  h.runner.tamper = [](const StepPlan& plan, StepResult& result) {
    for (std::size_t i = 0; i < plan.requests.size(); ++i) {
      if (plan.requests[i].key == 2 && plan.requests[i].is_decode) result.outputs[i].error = error_of("broken");
      if (plan.requests[i].key == 3 && plan.requests[i].num_computed == 8) result.outputs[i].tokens[0].token = -1;
    }
  };
  h.run();
  CHECK(h.outcomes[2].error->message == "broken");
  CHECK(h.outcomes[2].answer.finish == FinishReason::kError);
  CHECK_THAT(h.outcomes[3].error->message, Contains("the model produced no finite logits") && Contains("token 5"));
  CHECK(h.outcomes[3].answer.tokens.size() == 4);
  for (const std::uint64_t key : {1U, 4U}) CHECK(h.outcomes[key].answer == solo_answer(request_of(5, 10, key)));
  CHECK(h.scheduler.stats().requests_finished_error == 2);
  CHECK(h.empty());
}

TEST_CASE("a result that does not answer the plan fails the requests it leaves out", "[scheduler][outcome]") {
  Harness h(kRoomy);
  for (std::uint64_t i = 1; i <= 4; ++i) h.add(request_of(5, 10, i));
  h.runner.tamper = [](const StepPlan& plan, StepResult& result) {
    if (plan.step != 2) return;
    result.outputs[0].tokens.clear();
    result.outputs[1].logits.push_back({1.0F});
    result.outputs.pop_back();
  };
  h.run();
  CHECK_THAT(h.outcomes[1].error->message, Contains("sampled no token"));
  CHECK_THAT(h.outcomes[2].error->message, Contains("1 rows of logits where 0"));
  CHECK(h.outcomes[3].answer == solo_answer(request_of(5, 10, 3)));
  CHECK_THAT(h.outcomes[4].error->message, Contains("no output"));
  CHECK(h.empty());
}

TEST_CASE("an abort while waiting, while running, and while in flight frees everything", "[scheduler][outcome]") {
  Harness h({.max_num_seqs = 2, .max_num_batched_tokens = 100});
  for (std::uint64_t i = 1; i <= 4; ++i) h.add(request_of(5, 10, i));
  REQUIRE(h.step());
  h.scheduler.abort(4, FinishReason::kAborted);
  h.scheduler.abort(1, FinishReason::kStop);
  StepPlan plan = h.plan();
  h.scheduler.abort(2, FinishReason::kAborted);
  h.scheduler.abort(2, FinishReason::kAborted);
  h.scheduler.abort(77, FinishReason::kAborted);
  h.collect();
  CHECK(h.outcomes[2].answer.finish == FinishReason::kAborted);
  CHECK(h.scheduler.stats().state_slots_used == 2);  // the step in flight still writes to both
  h.finish_step(std::move(plan));
  CHECK(h.scheduler.stats().state_slots_used == 1);
  CHECK(h.outcomes[2].answer.tokens.size() == 1);
  h.run();
  CHECK(h.outcomes[1].answer.finish == FinishReason::kStop);
  CHECK(h.outcomes[3].answer == solo_answer(request_of(5, 10, 3)));
  for (const auto& [key, outcome] : h.outcomes) CHECK(outcome.events_after_end == 0);
  CHECK(h.scheduler.stats().requests_finished_abort == 2);
  CHECK(h.scheduler.stats().requests_finished_stop == 1);
  CHECK(h.empty());
}

TEST_CASE("a deadline ends a request that waits and one that runs", "[scheduler][outcome]") {
  Harness h({.max_num_seqs = 1, .max_num_batched_tokens = 100});
  EngineRequest request = request_of(5, 100);
  request.deadline = h.now + std::chrono::milliseconds(4);
  h.add(request);
  h.add(request);
  h.add(request_of(5, 3));
  h.run();
  for (const std::uint64_t key : {1U, 2U}) {
    REQUIRE(h.outcomes[key].error);
    CHECK(h.outcomes[key].error->code == ErrorCode::kDeadlineExceeded);
    CHECK(h.outcomes[key].answer.finish == FinishReason::kError);
  }
  CHECK(h.outcomes[1].answer.tokens.size() == 4);
  CHECK_THAT(h.outcomes[1].error->message, Contains("4 of at most 100"));
  CHECK(h.outcomes[3].answer == solo_answer(request_of(5, 3)));
  CHECK(h.empty());
}

TEST_CASE("a lost step fails those in it and nobody else", "[scheduler][outcome]") {
  Harness h({.max_num_seqs = 2, .max_num_batched_tokens = 100});
  for (std::uint64_t i = 1; i <= 3; ++i) h.add(request_of(5, 3, i));
  h.plan();
  h.scheduler.abort(1, FinishReason::kAborted);
  h.scheduler.fail_step(error_of("lost"));
  h.collect();
  CHECK(h.outcomes[1].answer.finish == FinishReason::kAborted);
  CHECK(h.outcomes[2].error->message == "lost");
  h.run();
  CHECK(h.outcomes[3].answer == solo_answer(request_of(5, 3, 3)));
  CHECK(h.empty());
}

TEST_CASE("a prompt's scores come once and in order, however it is cut, and after preemption", "[scheduler][outcome]") {
  for (const int max_tokens : {0, 1, 12}) {
    for (const int tokens : {1, 7, 100}) {
      CAPTURE(max_tokens, tokens);
      EngineRequest request = request_of(40, max_tokens);
      request.prompt_logprobs = 2;
      const Outcome outcome = run_alone(request, {.max_num_seqs = 1, .max_num_batched_tokens = tokens});
      CHECK(outcome.answer == solo_answer(request));
      CHECK(outcome.answer.scores.size() == 39);
    }
  }
  // Room for one of the two: the later one is preempted and computes its history again.
  Harness h({.max_num_seqs = 2, .max_num_batched_tokens = 16}, small_layout(), 64 * 2 + 80 * 22);
  std::vector<EngineRequest> requests{request_of(30, 30, 1), request_of(30, 30, 2)};
  std::vector<std::uint64_t> keys;
  for (EngineRequest& request : requests) {
    request.prompt_logprobs = 0;
    keys.push_back(h.add(request));
  }
  h.run();
  CHECK(h.log.violations.empty());
  CHECK(h.outcomes[keys[0]].stats.preemptions + h.outcomes[keys[1]].stats.preemptions > 0);
  for (std::size_t i = 0; i < keys.size(); ++i) CHECK(h.outcomes[keys[i]].answer == solo_answer(requests[i]));
}

TEST_CASE("a runner that scores too few tokens fails the request", "[scheduler][outcome]") {
  EngineRequest request = request_of(10, 3);
  request.prompt_logprobs = 0;
  Harness h(kRoomy);
  h.runner.tamper = [](const StepPlan&, StepResult& result) {
    for (StepOutput& output : result.outputs) output.scores.clear();
  };
  const auto key = h.add(request);
  h.run();
  REQUIRE(h.outcomes[key].error.has_value());
  CHECK_THAT(h.outcomes[key].error->message, Contains("scored 0 tokens of a prompt where 9 were asked for"));
}
