#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "engine/cache/prefix_index.h"
#include "engine/scheduler/scheduler.h"
#include "tests/emulation/emulated_stream.h"
#include "tests/emulation/platform_under_test.h"
#include "tests/golden/tiny_model.h"

// Steps that are planned before the outcome of the one in flight is known, on a device that does nothing before it is
// waited for: whatever is read too late, or overwritten too early, shows.

using namespace krait;
using namespace krait::test;

namespace {

/// What a request was told.
struct Told {
  std::vector<std::int32_t> tokens;
  std::vector<float> logprobs;
  std::optional<FinishReason> finish;
  std::optional<std::string> error;
  bool operator==(const Told&) const = default;
};

struct Outcome {
  std::map<std::uint64_t, Told> told;
  std::int64_t ahead = 0;     ///< steps planned ahead
  std::int64_t launches = 0;  ///< started as graphs
  bool operator==(const Outcome& other) const { return told == other.told; }
};

std::vector<std::int32_t> some_tokens(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> tokens;
  for (std::size_t i = 0; i < count; ++i) tokens.push_back(static_cast<std::int32_t>(random() % 60));
  return tokens;
}

EngineRequest request_of(std::size_t prompt, int max_tokens, std::uint32_t seed) {
  EngineRequest request;
  request.prompt = some_tokens(prompt, seed);
  request.sampling.max_tokens = max_tokens;
  request.sampling.temperature = seed % 2 == 0 ? 0.0F : 1.0F;
  request.sampling.seed = seed;
  return request;
}

/// Requests that end at different steps, over several borders of blocks.
std::vector<EngineRequest> requests() {
  std::vector<EngineRequest> all;
  for (std::uint32_t i = 0; i < 6; ++i) all.push_back(request_of(5 + 7 * i, 12 + 6 * static_cast<int>(i), i));
  all[4].sampling.logprobs = 2;
  return all;
}

/// Steps of a scheduler over an emulated model, planned ahead where they can be. All prompts are in the first step:
/// later steps are decodes, whose bits do not depend on who else is in them.
Outcome live(const std::string& fixture, const std::vector<EngineRequest>& requests, bool ahead,
             const SchedulerConfig& config = {}) {
  TinyModel::Options options;
  options.make_platform = [] { return make_platform_under_test(); };
  options.graphs = ahead ? GraphUse::kVerified : GraphUse::kNever;
  TinyModel model("tests/golden/models/" + fixture, options);
  model.pools().enable_prefix_index();
  REQUIRE(model.runner().runs_ahead());
  cuda::emulation::set_lazy(ahead);
  Outcome outcome;
  {
    Scheduler scheduler(config, model.pools());
    const auto now = TimePoint{} + std::chrono::hours(1);
    for (std::size_t i = 0; i < requests.size(); ++i) scheduler.add(i + 1, requests[i], now);
    std::optional<StepHandle> in_flight;
    while (!scheduler.idle()) {
      if (!in_flight) in_flight = model.runner().submit(scheduler.schedule(now));
      std::optional<StepHandle> next;
      StepPlan plan = ahead ? scheduler.schedule_ahead(now) : StepPlan{};
      if (!plan.requests.empty()) next = model.runner().submit(std::move(plan));
      outcome.ahead += next ? 1 : 0;
      scheduler.update(model.runner().wait(*std::exchange(in_flight, next)), now);
      for (const RequestEvent& event : scheduler.take_events()) {
        Told& told = outcome.told[event.key];
        for (const SampledToken& token : event.event.tokens) {
          told.tokens.push_back(token.token);
          told.logprobs.push_back(token.logprob);
          for (const TokenLogprob& best : token.top) told.logprobs.push_back(best.logprob);
        }
        if (event.event.finish) told.finish = event.event.finish;
        if (event.event.error) told.error = event.event.error->message;
      }
    }
    model.pools().prefix_index()->clear();
    CHECK(scheduler.stats().cache_bytes_used == 0);
  }
  cuda::emulation::set_lazy(false);
  outcome.launches = model.runner().graph_launches();
  return outcome;
}

}  // namespace

TEST_CASE("steps ahead: requests are told the same as by steps one after another") {
  for (const char* fixture : {"granitemoehybrid_moe", "mamba", "deepseek_v3"}) {
    if (KRAIT_SANITIZED != 0 && fixture != std::string("granitemoehybrid_moe")) continue;
    CAPTURE(fixture);
    std::vector<EngineRequest> all = requests();
    // Two of them stop at what they would have gone on with.
    const Outcome unstopped = live(fixture, all, false);
    all[1].sampling.stop_token_ids = {unstopped.told.at(2).tokens.at(7)};
    all[3].sampling.stop_token_ids = {unstopped.told.at(4).tokens.at(15)};
    all[3].sampling.min_tokens = 9;
    const Outcome expected = live(fixture, all, false);
    const Outcome found = live(fixture, all, true);
    REQUIRE(found.told.size() == 6);
    for (const auto& [key, told] : expected.told) {
      const std::string error = found.told.at(key).error.value_or("none");
      CAPTURE(key, error);
      CHECK(found.told.at(key).tokens == told.tokens);
    }
    CHECK(found == expected);
    CHECK(found.ahead > 20);
    CHECK(found.launches > 20);
    CHECK(std::ranges::any_of(found.told, [](const auto& one) { return one.second.finish == FinishReason::kStop; }));
  }
}

TEST_CASE("steps ahead: none for requests whose next token needs the last one on the host") {
  std::vector<EngineRequest> penalised{request_of(5, 20, 1)};
  penalised[0].sampling.repetition_penalty = 1.3F;
  const Outcome expected = live("llama", penalised, false);
  const Outcome found = live("llama", penalised, true);
  CHECK(found == expected);
  CHECK(found.ahead == 0);
}
