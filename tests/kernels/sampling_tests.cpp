#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <map>

#include "kernels/cpu/sampler.h"
#include "kernels/philox.h"
#include "tests/kernels/test_support.h"

namespace krait {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

SampledToken sample(std::vector<float> logits, const SampleRow& row) {
  static test::Machine machine;
  SampledToken out;
  const auto n = static_cast<std::int64_t>(logits.size());
  machine.ops().sample({TensorView(logits.data(), DType::kFloat32, Shape{1, n}), {&row, 1}, {&out, 1}});
  return out;
}

/// How often each token is drawn over many positions.
std::map<int, int> draw_many(const std::vector<float>& logits, SampleRow row, int count = 4000) {
  std::map<int, int> counts;
  for (int i = 0; i < count; ++i) {
    row.position = static_cast<std::uint64_t>(i);
    ++counts[sample(logits, row).token];
  }
  return counts;
}

const std::vector<float> kLogits = {0.0F, 2.0F, 1.0F, 2.0F, -1.0F};

}  // namespace

TEST_CASE("Philox gives the numbers of its paper's test vectors") {
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) ==
        std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
}

TEST_CASE("Greedy takes the lowest id among equals") {
  CHECK(sample(kLogits, {.temperature = 0.0F}).token == 1);
  std::vector<float> wide(1000, -3.0F);
  wide[999] = 5.0F;
  CHECK(sample(wide, {.temperature = 0.0F, .top_k = 1, .top_p = 0.1F}).token == 999);
}

TEST_CASE("A NaN, or no finite logit, is reported") {
  for (const float temperature : {0.0F, 1.0F}) {
    const SampleRow row{.temperature = temperature};
    for (std::size_t at : {std::size_t{0}, std::size_t{17}, std::size_t{39}}) {
      std::vector<float> logits(40, 1.0F);
      logits[at] = NAN;
      CHECK(sample(logits, row).token == -1);
    }
    CHECK(sample({-kInf, -kInf}, row).token == -1);
    CHECK(sample({0.0F, kInf}, row).token == -1);
    CHECK(sample({-kInf, 0.0F}, row).token == 1);
  }
}

TEST_CASE("The draw depends on seed and position only") {
  SampleRow row{.seed = 42, .position = 7};
  const int token = sample(kLogits, row).token;
  for (int i = 0; i < 3; ++i) CHECK(sample(kLogits, row).token == token);
  std::vector<float> batch;
  std::vector<SampleRow> rows(5, row);
  for (int i = 0; i < 5; ++i) batch.insert(batch.end(), kLogits.begin(), kLogits.end());
  for (std::size_t i = 0; i < 5; ++i) rows[i].position = 5 + i;
  std::vector<SampledToken> out(5);
  test::Machine machine("auto", 3);
  machine.ops().sample({TensorView(batch.data(), DType::kFloat32, Shape{5, 5}), rows, out});
  CHECK(out[2].token == token);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const double u = uniform_draw(3, i);
    REQUIRE((u >= 0.0 && u < 1.0));
  }
}

TEST_CASE("Frequencies follow the softmax") {
  for (const float temperature : {0.7F, 1.0F, 2.0F}) {
    const auto counts = draw_many(kLogits, {.temperature = temperature, .seed = 1}, 20000);
    double total = 0.0;
    for (const float x : kLogits) total += std::exp(static_cast<double>(x / temperature));
    for (std::size_t i = 0; i < kLogits.size(); ++i) {
      const double p = std::exp(static_cast<double>(kLogits[i] / temperature)) / total;
      const auto found = counts.find(static_cast<int>(i));
      const double share = found == counts.end() ? 0.0 : found->second / 20000.0;
      CHECK(share == Approx(p).margin(0.015));
    }
  }
}

TEST_CASE("top-k, top-p and min-p cut where they say") {
  const auto only = [](const std::map<int, int>& counts) {
    std::vector<int> tokens;
    for (const auto& [token, count] : counts) tokens.push_back(token);
    return tokens;
  };
  CHECK(only(draw_many(kLogits, {.top_k = 1})) == std::vector<int>{1});
  CHECK(only(draw_many(kLogits, {.top_k = 2})) == std::vector<int>{1, 3});
  CHECK(only(draw_many(kLogits, {.top_k = 3})) == std::vector<int>{1, 2, 3});
  // Probabilities: 0.054, 0.399, 0.147, 0.399, 0.020 (rounded).
  CHECK(only(draw_many(kLogits, {.top_p = 0.3F})) == std::vector<int>{1});
  CHECK(only(draw_many(kLogits, {.top_p = 0.5F})) == std::vector<int>{1, 3});
  CHECK(only(draw_many(kLogits, {.top_p = 0.9F})) == std::vector<int>{1, 2, 3});
  CHECK(only(draw_many(kLogits, {.top_p = 0.0F})) == std::vector<int>{1});
  CHECK(only(draw_many(kLogits, {.min_p = 0.5F})) == std::vector<int>{1, 3});
  CHECK(only(draw_many(kLogits, {.min_p = 0.3F})) == std::vector<int>{1, 2, 3});
  CHECK(only(draw_many(kLogits, {.min_p = 1.0F})) == std::vector<int>{1, 3});
  // top-p counts within what top-k left: 0.5 of {0.399, 0.399, 0.147} needs two, 0.4 only one.
  CHECK(only(draw_many(kLogits, {.top_k = 3, .top_p = 0.4F})) == std::vector<int>{1});
}

TEST_CASE("top-p on a flat distribution keeps its share of a large vocabulary") {
  const std::vector<float> flat(5000, 0.5F);
  int largest = 0;
  for (int i = 0; i < 300; ++i) {
    largest =
        std::max(largest, sample(flat, {.top_p = 0.5F, .seed = 9, .position = static_cast<std::uint64_t>(i)}).token);
  }
  CHECK(largest < 2500);
  CHECK(largest > 2300);
}

TEST_CASE("Penalties, bias, bans and masks") {
  const std::vector<std::int32_t> one{1}, thrice{1, 1, 1}, three{3};
  const SampleRow greedy{.temperature = 0.0F};
  SampleRow row = greedy;
  row.repetition_penalty = 3.0F;
  row.prompt_tokens = one;
  CHECK(sample(kLogits, row).token == 3);
  row.output_tokens = three;
  CHECK(sample(kLogits, row).token == 2);
  // A negative logit is made smaller, not larger, and a token in prompt and output is penalised once.
  row.prompt_tokens = row.output_tokens = one;
  CHECK(sample({-1.9F, -0.5F, -1.4F}, row).token == 2);
  CHECK(sample({-1.9F, -0.5F, -1.6F}, row).token == 1);

  row = greedy;
  row.presence_penalty = 0.5F;
  row.output_tokens = thrice;
  CHECK(sample({0.0F, 2.0F, 1.6F}, row).token == 2);
  CHECK(sample({0.0F, 2.0F, 1.4F}, row).token == 1);
  row.presence_penalty = 0.0F;
  row.frequency_penalty = 0.5F;
  CHECK(sample({0.0F, 2.0F, 0.6F}, row).token == 2);
  row.output_tokens = {};
  row.prompt_tokens = thrice;
  CHECK(sample({0.0F, 2.0F, 0.6F}, row).token == 1);

  const std::vector<std::pair<std::int32_t, float>> bias{{4, 10.0F}, {99, 100.0F}};
  row = greedy;
  row.logit_bias = bias;
  CHECK(sample(kLogits, row).token == 4);
  row.banned_tokens = one;
  row.logit_bias = {};
  CHECK(sample(kLogits, row).token == 3);
  const std::vector<std::uint32_t> mask{0b10101};
  row.allowed_bitmask = mask;
  CHECK(sample(kLogits, row).token == 2);
  const std::vector<std::uint32_t> nothing{0};
  row.allowed_bitmask = nothing;
  CHECK(sample(kLogits, row).token == -1);
}

TEST_CASE("Log-probabilities are those of the raw logits, ranked") {
  const std::vector<std::int32_t> banned{1, 3};
  SampleRow row{.temperature = 0.0F, .banned_tokens = banned, .num_logprobs = 3};
  const SampledToken sampled = sample(kLogits, row);
  double total = 0.0;
  for (const float x : kLogits) total += std::exp(static_cast<double>(x));
  CHECK(sampled.token == 2);
  CHECK(sampled.rank == 3);
  CHECK(static_cast<double>(sampled.logprob) == Approx(1.0 - std::log(total)).epsilon(1e-6));
  REQUIRE(sampled.top.size() == 3);
  CHECK(sampled.top[0].token == 1);
  CHECK(sampled.top[1].token == 3);
  CHECK(sampled.top[2].token == 2);
  CHECK(static_cast<double>(sampled.top[0].logprob) == Approx(2.0 - std::log(total)).epsilon(1e-6));
  row.num_logprobs = 0;
  CHECK(sample(kLogits, row).top.empty());
  CHECK(sample(kLogits, row).rank == 3);
  row.num_logprobs = -1;
  CHECK(sample(kLogits, row).rank == 0);
}

}  // namespace krait
