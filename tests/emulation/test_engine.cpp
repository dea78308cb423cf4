#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "tests/emulation/platform_under_test.h"
#include "tests/golden/demo_model.h"

// The whole engine on the emulated GPU.

using namespace krait;
using namespace krait::test;

namespace {

LoadOptions emulated_options(const std::string& fixture) {
  LoadOptions options = folder_options("tests/golden/models/" + fixture);
  options.make_platform = [] { return make_platform_under_test(); };
  return options;
}

std::vector<std::int32_t> random_ids(std::mt19937& generator, std::size_t count) {
  std::uniform_int_distribution<std::int32_t> id(3, 255);
  std::vector<std::int32_t> ids(count);
  for (auto& value : ids) value = id(generator);
  return ids;
}

EngineRequest request_of(const std::string& id, const std::vector<std::int32_t>& prompt) {
  EngineRequest request = demo_request(id, prompt, 2);
  request.sampling.ignore_eos = true;
  request.sampling.stop_token_ids = {};
  return request;
}

}  // namespace

// Chunks end at snapshots, so a hit and a cold run differ by roundings, and by no more.
TEST_CASE("emulated: what goes on from a snapshot inside another request's prefill is a cold run's answer") {
  for (const char* fixture : {"mamba2", "jamba", "qwen3_next", "lfm2", "recurrent_gemma", "minimax"}) {
    std::mt19937 generator(4);
    const auto shared = random_ids(generator, 96);
    std::vector<std::int32_t> first = shared, second(shared.begin(), shared.begin() + 70);
    const auto tail = random_ids(generator, 60);
    first.insert(first.end(), tail.begin(), tail.end());
    second.push_back(7);
    LoadOptions options = emulated_options(fixture);
    options.snapshots.interval = 32;
    const auto warm = ServingModel::load(options);
    const Answer first_warm = answer_alone(warm->engine(), {request_of("first", first)}).front();
    const Answer second_warm = answer_alone(warm->engine(), {request_of("second", second)}).front();
    CAPTURE(fixture);
    CHECK(warm->engine().stats().prefix_hit_tokens >= 32);
    options.enable_prefix_caching = false;
    const auto cold = ServingModel::load(options);
    const auto answers = answer_alone(cold->engine(), {request_of("first", first), request_of("second", second)});
    const auto same = [](const Answer& a, const Answer& b) {
      REQUIRE(!a.logprobs.empty());
      CHECK(a.error.empty());
      CHECK(a.ids.front() == b.ids.front());
      CHECK(std::abs(a.logprobs.front() - b.logprobs.front()) < 5e-3F);
    };
    same(first_warm, answers[0]);
    same(second_warm, answers[1]);
  }
}
