#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/emulation/platform_under_test.h"
#include "tests/golden/golden_file.h"
#include "tests/golden/tiny_model.h"

// Every family's fixture on the emulated GPU: the same runner, layers and backends as on the CPU, over CUDA's kernels.

using namespace krait;
using namespace krait::test;

namespace {

constexpr bool kSlowBuild = KRAIT_SANITIZED != 0;

TinyModel emulated(const std::string& fixture) {
  TinyModel::Options options;
  options.make_platform = [] { return make_platform_under_test(); };
  return TinyModel(fixture, options);
}

/// The shortest prompt of at least so many tokens.
const GoldenPrompt& prompt_of(const Golden& golden, std::size_t least) {
  const GoldenPrompt* found = nullptr;
  for (const GoldenPrompt& prompt : golden.prompts) {
    const std::size_t tokens = prompt.ids.size();
    if (tokens >= least && (found == nullptr || tokens < found->ids.size())) found = &prompt;
  }
  REQUIRE(found != nullptr);
  return *found;
}

float largest_difference(const Row& found, const Row& expected) {
  REQUIRE(found.size() == expected.size());
  float largest = 0.0F;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const float difference = std::abs(found[i] - expected[i]);
    largest = difference <= largest ? largest : difference;  // a NaN is the largest
  }
  return largest;
}

}  // namespace

TEST_CASE("emulated: every fixture's prefill and decode are within its tolerance") {
  for (const std::string& fixture : fixture_folders()) {
    TinyModel model = emulated(fixture);
    const Golden golden = read_golden(fixture);
    for (const std::size_t least : kSlowBuild ? std::vector<std::size_t>{5} : std::vector<std::size_t>{1, 70}) {
      const GoldenPrompt& prompt = prompt_of(golden, least);
      CAPTURE(fixture, prompt.ids.size());
      Sequence sequence = model.start();
      auto rows = model.run(sequence, prompt.ids);
      for (std::size_t i = 0; i < prompt.logits.size(); ++i) {
        const std::size_t position = static_cast<std::size_t>(prompt.first_position) + i;
        CAPTURE(position);
        CHECK(largest_difference(rows[position], prompt.logits[i]) <= golden.tolerance);
      }
      Row row = rows.back();
      const std::size_t steps = std::min<std::size_t>(prompt.generated.size(), kSlowBuild ? 2 : 4);
      for (std::size_t s = 0; s < steps; ++s) {
        CAPTURE(s);
        CHECK(largest_difference(row, prompt.generated_logits[s]) <= golden.tolerance);
        row = model.run(sequence, {prompt.generated[s]}, true).front();
      }
    }
  }
}

TEST_CASE("emulated: a prompt in pieces, beside others, is within the fixture's tolerance") {
  for (const std::string& fixture : fixture_folders()) {
    TinyModel model = emulated(fixture);
    const Golden golden = read_golden(fixture);
    const GoldenPrompt& prompt = prompt_of(golden, kSlowBuild ? 16 : 70);
    const auto cut = static_cast<std::ptrdiff_t>(prompt.ids.size() / 3);
    Sequence first = model.start(), second = model.start();
    CAPTURE(fixture);
    const std::vector<std::int32_t> head(prompt.ids.begin(), prompt.ids.begin() + cut);
    const std::vector<std::int32_t> tail(prompt.ids.begin() + cut, prompt.ids.end());
    model.step({{.sequence = &first, .tokens = head}});
    const auto rows = model.step({{.sequence = &first, .tokens = tail}, {.sequence = &second, .tokens = head}});
    CHECK(largest_difference(rows[0].back(), prompt.logits.back()) <= golden.tolerance);
    const auto next = model.step({{.sequence = &first, .tokens = {prompt.generated[0]}, .is_decode = true},
                                  {.sequence = &second, .tokens = tail}});
    CHECK(largest_difference(next[0].front(), prompt.generated_logits[1]) <= golden.tolerance);
    CHECK(largest_difference(next[1].back(), prompt.logits.back()) <= golden.tolerance);
  }
}
