// Constrained requests through the engine, with the demo model.

#include <catch2/catch.hpp>

#include "../../golden/demo_model.h"
#include "constraint_tools.h"

using namespace krait;
using namespace krait::test;

namespace {

constexpr bool kSlowBuild = KRAIT_SANITIZED != 0;

EngineRequest constrained(const std::string& id, std::shared_ptr<const CompiledConstraint> constraint, int max_tokens,
                          float temperature, std::uint64_t seed) {
  const auto cases = demo_cases();
  EngineRequest request = demo_request(id, cases[seed % cases.size()].prompt, max_tokens, temperature, seed);
  request.constraint = std::move(constraint);
  return request;
}

std::string text_of(const Answer& answer) { return demo_tokenizer().decode(answer.ids, /*skip_special_tokens=*/true); }

/// The answer without its end token must be the beginning of what the constraint allows.
bool is_prefix(const CompiledConstraint& constraint, const Answer& answer) {
  std::vector<std::int32_t> tokens = answer.ids;
  if (answer.finish == FinishReason::kStop && !tokens.empty()) tokens.pop_back();
  return mask_after(constraint, tokens).has_value();
}

/// Constrained and free requests, greedy and sampled.
std::vector<EngineRequest> mixed_requests() {
  const auto person = compile(ConstraintKind::kJsonSchema, kPersonSchema);
  const auto digits = compile(ConstraintKind::kRegex, "[0-9]{3,20}( [a-z]+){0,5}");
  std::vector<EngineRequest> requests;
  for (std::uint64_t i = 0; i < (kSlowBuild ? 6 : 12); ++i) {
    const float temperature = i % 2 == 0 ? 1.5F : 0.0F;
    const auto constraint = i % 3 == 0 ? nullptr : i % 3 == 1 ? person : digits;
    requests.push_back(constrained("mixed-" + std::to_string(i), constraint, 90, temperature, 100 + i));
  }
  return requests;
}

}  // namespace

TEST_CASE("sampled runs under a nested schema: those that stop are documents of it, the rest begin one") {
  const auto constraint = compile(ConstraintKind::kJsonSchema, kPersonSchema);
  const auto serving = ServingModel::load(demo_options());
  std::vector<EngineRequest> requests;
  for (std::uint64_t i = 0; i < (kSlowBuild ? 4 : 40); ++i) {
    requests.push_back(constrained("person-" + std::to_string(i), constraint, 200, 1.5F, 7 + i));
  }
  int stopped = 0;
  for (const Answer& answer : answer_together(serving->engine(), requests)) {
    const std::string text = text_of(answer);
    CAPTURE(text, answer.error);
    CHECK(is_prefix(*constraint, answer));
    if (answer.finish != FinishReason::kStop) {
      CHECK(answer.finish == FinishReason::kLength);
      continue;
    }
    ++stopped;
    CHECK(is_person(text));
  }
  CHECK(stopped * 20 >= static_cast<int>(requests.size()) * 19);
}

TEST_CASE(
    "a constrained request is given the same alone, in a batch, in pieces and after preemption; its neighbours too") {
  const std::vector<EngineRequest> requests = mixed_requests();
  const auto reference = ServingModel::load(demo_options());
  const auto expected = answer_alone(reference->engine(), requests);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].constraint == nullptr) continue;
    CHECK(is_prefix(*requests[i].constraint, expected[i]));
  }
  CHECK(answer_together(reference->engine(), requests) == expected);

  LoadOptions pieces = demo_options();
  pieces.max_num_batched_tokens = 7;
  CHECK(answer_together(ServingModel::load(pieces)->engine(), requests) == expected);

  LoadOptions tight = demo_options();
  // Room for four to start, and not for four to end.
  tight.cache_memory.bytes = std::size_t{2400} << 10;
  tight.max_num_batched_tokens = 24;
  const auto serving = ServingModel::load(tight);
  CHECK(answer_together(serving->engine(), requests) == expected);
  if (!kSlowBuild) CHECK(serving->engine().stats().preemptions_total >= 3);
}

TEST_CASE("free requests beside constrained ones are given what they are given without them") {
  std::vector<EngineRequest> all = mixed_requests();
  std::vector<EngineRequest> free;
  std::copy_if(all.begin(), all.end(), std::back_inserter(free),
               [](const auto& one) { return one.constraint == nullptr; });
  const auto serving = ServingModel::load(demo_options());
  const auto expected = answer_together(serving->engine(), free);
  const auto together = answer_together(serving->engine(), all);
  std::size_t next = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].constraint == nullptr) CHECK(together[i] == expected[next++]);
  }
}

TEST_CASE("the mask is absolute: no bias and no penalty gets around it") {
  const auto serving = ServingModel::load(demo_options());
  const auto constraint = compile(ConstraintKind::kRegex, "(ab){2}");
  EngineRequest request = constrained("bias", constraint, 20, 0.0F, 3);
  for (std::int32_t token = 0; token < 3072; token += 2) request.sampling.logit_bias.emplace_back(token, 100.0F);
  request.sampling.repetition_penalty = 1.9F;
  request.sampling.frequency_penalty = 2.0F;
  request.sampling.presence_penalty = 2.0F;
  request.sampling.logprobs = 2;
  const Answer answer = read_all(*serving->engine().submit(request).value());
  CHECK(answer.finish == FinishReason::kStop);
  CHECK(text_of(answer) == "abab");
}

TEST_CASE("a complete answer ends, whatever min_tokens and ignore_eos say") {
  const auto serving = ServingModel::load(demo_options());
  const auto constraint = compile(ConstraintKind::kRegex, "yes");
  for (const bool ignore_eos : {false, true}) {
    EngineRequest request = constrained("ends", constraint, 30, 1.0F, 5);
    request.sampling.min_tokens = 20;
    request.sampling.ignore_eos = ignore_eos;
    if (ignore_eos) request.sampling.stop_token_ids.clear();
    const Answer answer = read_all(*serving->engine().submit(request).value());
    CHECK(answer.finish == FinishReason::kStop);
    CHECK(text_of(answer) == "yes");
  }
  // Where the constraint leaves a choice, min_tokens is kept.
  EngineRequest request = constrained("min", compile(ConstraintKind::kRegex, "[a-z ]*"), 30, 1.0F, 6);
  request.sampling.min_tokens = 10;
  request.sampling.logit_bias = {{0, 50.0F}};
  const Answer answer = read_all(*serving->engine().submit(request).value());
  CHECK(answer.finish == FinishReason::kStop);
  CHECK(answer.ids.size() == 11);
}

TEST_CASE("max_tokens cuts a constrained answer") {
  const auto serving = ServingModel::load(demo_options());
  const auto constraint = compile(ConstraintKind::kRegex, "[0-9]{500}");
  const Answer answer = read_all(*serving->engine().submit(constrained("cut", constraint, 9, 1.0F, 2)).value());
  CHECK(answer.finish == FinishReason::kLength);
  CHECK(answer.ids.size() == 9);
  CHECK(is_prefix(*constraint, answer));
}

TEST_CASE("a constraint that the vocabulary cannot follow ends its request with an error, not its neighbours") {
  const auto serving = ServingModel::load(demo_options());
  // Every token that has a "b" is taken out of the vocabulary: after "a" nothing can follow.
  GrammarCompiler compiler([] {
    ConstraintVocabulary vocabulary = demo_vocabulary();
    for (std::string& token : vocabulary.token_bytes) {
      if (token.find('b') != std::string::npos) token.clear();
    }
    return vocabulary;
  });
  const auto stuck = compiler.compile_and_wait({.kind = ConstraintKind::kRegex, .text = "ab"});
  REQUIRE(stuck.ok());
  std::vector<EngineRequest> requests = {constrained("stuck", stuck.value(), 10, 1.0F, 1),
                                         constrained("free", nullptr, 10, 1.0F, 2),
                                         constrained("sound", compile(ConstraintKind::kRegex, "abc"), 10, 1.0F, 3)};
  const auto answers = answer_together(serving->engine(), requests);
  CHECK(answers[0].finish == FinishReason::kError);
  CHECK_THAT(answers[0].error, Catch::Contains("no token"));
  CHECK(answers[1] == answer_alone(serving->engine(), {requests[1]})[0]);
  CHECK(text_of(answers[2]) == "abc");
  CHECK(serving->engine().ready());
}

TEST_CASE("a constraint for another vocabulary is refused") {
  const auto serving = ServingModel::load(demo_options());
  const std::vector<std::int32_t> ends = {0};
  GrammarCompiler compiler([&] { return make_constraint_vocabulary(demo_tokenizer(), 4000, ends); });
  const auto other = compiler.compile_and_wait({.kind = ConstraintKind::kRegex, .text = "ab"});
  REQUIRE(other.ok());
  const auto refused = serving->engine().submit(constrained("other", other.value(), 10, 1.0F, 1));
  REQUIRE_FALSE(refused.ok());
  CHECK_THAT(refused.error().message, Catch::Contains("4000"));
}

TEST_CASE("constrained requests can be aborted while their masks are being computed") {
  const auto serving = ServingModel::load(demo_options());
  const auto constraint = compile(ConstraintKind::kJsonSchema, kPersonSchema);
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (std::uint64_t i = 0; i < 20; ++i) {
    streams.push_back(serving->engine().submit(constrained("a" + std::to_string(i), constraint, 100, 1.5F, i)).value());
    if (i % 2 == 1) serving->engine().abort("a" + std::to_string(i - 1), FinishReason::kAborted);
  }
  for (std::uint64_t i = 0; i < 20; ++i) serving->engine().abort("a" + std::to_string(i), FinishReason::kAborted);
  for (const auto& stream : streams) {
    const Answer answer = read_all(*stream);
    CHECK(answer.finish != FinishReason::kError);
  }
}
