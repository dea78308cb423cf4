#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "demo_model.h"
#include "engine/runner/model_runner.h"

using namespace krait;
using namespace krait::test;

namespace {

/// A sanitizer makes the model some twenty times slower: the same tests, on less of the same work.
constexpr bool kSlowBuild = KRAIT_SANITIZED != 0;

/// Sixteen requests of many lengths, half of them sampled.
std::vector<EngineRequest> mixed_requests() {
  const auto cases = demo_cases();
  std::vector<EngineRequest> requests;
  for (std::size_t i = 0; i < (kSlowBuild ? 6 : 16); ++i) {
    const DemoCase& one = cases[i % cases.size()];
    std::vector<std::int32_t> prompt = one.prompt;
    if (i % 3 == 2) {
      // A long prompt: the case's own answer belongs to it.
      prompt.insert(prompt.end(), one.ids.begin(), one.ids.end() - 1);
      prompt.insert(prompt.end(), cases[(i + 1) % cases.size()].prompt.begin(),
                    cases[(i + 1) % cases.size()].prompt.end());
    }
    requests.push_back(demo_request("request-" + std::to_string(i), prompt, 10 + static_cast<int>(i * 13 % 40),
                                    i % 2 == 0 ? 0.0F : 1.2F, 1000 + i));
  }
  return requests;
}

std::size_t steps_to_compare(const DemoCase& one, double margin) {
  std::size_t steps = 0;
  while (steps < one.margins.size() && one.margins[steps] >= margin) ++steps;
  return steps;
}

void check_goldens(const LoadOptions& options, double least_margin, double step_margin) {
  const auto serving = ServingModel::load(options);
  std::size_t compared = 0;
  for (const DemoCase& one : demo_cases()) {
    if (one.min_margin < least_margin) continue;
    EngineRequest request =
        demo_request("golden-" + std::to_string(compared), one.prompt, static_cast<int>(one.ids.size()));
    const Answer answer = read_all(*serving->engine().submit(request).value());
    const std::size_t steps = steps_to_compare(one, step_margin);
    CAPTURE(compared, steps, one.prompt.size());
    REQUIRE(answer.ids.size() >= steps);
    CHECK(std::equal(one.ids.begin(), one.ids.begin() + static_cast<std::ptrdiff_t>(steps), answer.ids.begin()));
    if (++compared == 2 && kSlowBuild) return;
  }
  CHECK(compared == (least_margin > 0 ? 12 : 15));
}

}  // namespace

TEST_CASE("the demo model's golden continuations: all 15 in float32 up to the first near tie") {
  check_goldens(demo_options(), 0.0, 0.001);
}

TEST_CASE("the demo model's golden continuations: 12 of 15 in the default compute type, and in bfloat16") {
  LoadOptions options = demo_options();
  options.compute_dtype = std::nullopt;
  check_goldens(options, 0.05, 0.0);
  options.compute_dtype = DType::kBFloat16;
  check_goldens(options, 0.05, 0.0);
}

TEST_CASE("answers do not depend on the token budget, the company or the threads") {
  const auto requests = mixed_requests();
  const auto reference = ServingModel::load(cold_options());
  const auto expected = answer_alone(reference->engine(), requests);
  for (const int budget : {1, 7, 15, 16, 100, 2048}) {
    for (const int threads : {1, 2, 3}) {
      if (threads != 1 && budget != 16 && budget != 2048) continue;
      if (kSlowBuild && budget != 7 && budget != 16) continue;
      CAPTURE(budget, threads);
      LoadOptions options = demo_options();
      options.max_num_batched_tokens = budget;
      options.threads = threads;
      const auto serving = ServingModel::load(options);
      REQUIRE(answer_together(serving->engine(), requests) == expected);
    }
  }
}

TEST_CASE("answers survive preemption: at least 20 of them and 100 mixed steps, bit for bit") {
  for (const char* folder : {"granitemoehybrid_dense", "granitemoehybrid_moe", "mamba2", "llama"}) {
    CAPTURE(folder);
    LoadOptions options = demo_options();
    options.model_path = std::string(KRAIT_SOURCE_DIR) + "/tests/golden/models/" + folder;
    std::mt19937 generator(17);
    std::vector<EngineRequest> requests;
    for (std::size_t i = 0; i < (kSlowBuild ? 60 : 120); ++i) {
      std::vector<std::int32_t> prompt(1 + i * 11 % 40);
      for (auto& id : prompt) id = std::uniform_int_distribution<std::int32_t>(3, 255)(generator);
      requests.push_back(demo_request("request-" + std::to_string(i), prompt, 60 + static_cast<int>(i * 17 % 90),
                                      i % 2 == 0 ? 0.0F : 1.2F, i));
    }
    options.enable_prefix_caching = false;
    const auto reference = ServingModel::load(options);
    const auto expected = answer_alone(reference->engine(), requests);
    options.enable_prefix_caching = true;
    // A state is 30 KB and a page of 16 tokens 4 KB: room for more requests to start than can end.
    options.cache_memory.bytes = std::size_t{300} << 10;
    options.max_num_batched_tokens = 24;
    const auto serving = ServingModel::load(options);
    REQUIRE(answer_together(serving->engine(), requests) == expected);
    const EngineStats stats = serving->engine().stats();
    CHECK(stats.cache_bytes_used == stats.cache_bytes_cached);
    // Without KV a request's memory does not grow, and nothing needs to give way.
    if (kSlowBuild || std::string_view(folder) == "mamba2") continue;
    CHECK(stats.preemptions_total >= 20);
    CHECK(stats.mixed_steps_total >= 100);
  }
}

TEST_CASE("raw logits of a prompt are the same read at once or while it is decoded") {
  const auto serving = ServingModel::load(demo_options());
  const DemoCase one = demo_cases().front();
  EngineRequest request = demo_request("logits", one.prompt, 8);
  request.prompt_logits = PromptLogits::kAll;
  request.generated_logits = true;
  const auto stream = serving->engine().submit(request).value();
  std::vector<std::vector<float>> rows;
  std::vector<std::int32_t> ids = one.prompt;
  while (true) {
    const TokenEvent event = stream->pop();
    rows.insert(rows.end(), event.logits.begin(), event.logits.end());
    for (const SampledToken& token : event.tokens) ids.push_back(token.token);
    if (event.finish) break;
  }
  // The last row of the prompt is the distribution of the first token: delivered once.
  REQUIRE(rows.size() == one.prompt.size() + 7);
  ids.pop_back();
  EngineRequest whole = demo_request("whole", ids, 1);
  whole.prompt_logits = PromptLogits::kAll;
  const auto second = serving->engine().submit(whole).value();
  std::vector<std::vector<float>> again;
  while (true) {
    const TokenEvent event = second->pop();
    again.insert(again.end(), event.logits.begin(), event.logits.end());
    if (event.finish) break;
  }
  REQUIRE(again == rows);
}

TEST_CASE("a request whose logits are not finite fails alone") {
  const auto requests = mixed_requests();
  const auto reference = ServingModel::load(cold_options());
  const auto expected = answer_alone(reference->engine(), requests);
  LoadOptions options = demo_options();
  // The fifth request's rows turn to NaN from its third token on.
  options.configure_runner = [&](ModelRunner& runner) {
    runner.on_logits([prompt = requests[4].prompt.size()](const StepPlan& plan, const TensorView& logits) {
      std::int64_t row = 0;
      for (const StepRequest& request : plan.requests) {
        if (!request.sample) continue;
        const bool victim = request.sample->seed == 1004 && request.sample->position >= 2;
        if (victim) std::fill_n(logits.row<float>(row), logits.columns(), std::numeric_limits<float>::quiet_NaN());
        ++row;
      }
      static_cast<void>(prompt);
    });
  };
  const auto serving = ServingModel::load(options);
  const auto answers = answer_together(serving->engine(), requests);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    CAPTURE(i);
    if (i == 4) {
      CHECK(answers[i].finish == FinishReason::kError);
      CHECK(answers[i].ids.size() == 2);
      CHECK_FALSE(answers[i].error.empty());
    } else {
      CHECK(answers[i] == expected[i]);
    }
  }
  const EngineStats stats = serving->engine().stats();
  CHECK(stats.cache_bytes_used == stats.cache_bytes_cached);
}
