#include <catch2/catch.hpp>
#include <cmath>

#include "golden_file.h"
#include "tiny_model.h"

using namespace krait;
using namespace krait::test;

namespace {

float largest_difference(const Row& found, const Row& expected) {
  REQUIRE(found.size() == expected.size());
  float largest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) largest = std::max(largest, std::abs(found[i] - expected[i]));
  return largest;
}

}  // namespace

TEST_CASE("prefill logits of every fixture are within its tolerance") {
  for (const std::string& fixture : fixture_folders()) {
    TinyModel model(fixture);
    const Golden golden = read_golden(fixture);
    for (const GoldenPrompt& prompt : golden.prompts) {
      CAPTURE(fixture, prompt.ids.size());
      Sequence sequence = model.start();
      const auto rows = model.run(sequence, prompt.ids);
      for (std::size_t i = 0; i < prompt.logits.size(); ++i) {
        const std::size_t position = static_cast<std::size_t>(prompt.first_position) + i;
        CAPTURE(position);
        CHECK(largest_difference(rows[position], prompt.logits[i]) <= golden.tolerance);
      }
    }
  }
}

TEST_CASE("teacher-forced decoding of every fixture is within its tolerance at every step") {
  for (const std::string& fixture : fixture_folders()) {
    TinyModel model(fixture);
    const Golden golden = read_golden(fixture);
    for (const GoldenPrompt& prompt : golden.prompts) {
      Sequence sequence = model.start();
      Row row = model.run(sequence, prompt.ids).back();
      for (std::size_t s = 0; s < prompt.generated.size(); ++s) {
        CAPTURE(fixture, prompt.ids.size(), s);
        CHECK(largest_difference(row, prompt.generated_logits[s]) <= golden.tolerance);
        row = model.run(sequence, {prompt.generated[s]}, true).front();
      }
    }
  }
}

TEST_CASE("greedy continuations of every fixture are the reference's") {
  for (const std::string& fixture : fixture_folders()) {
    TinyModel model(fixture);
    const Golden golden = read_golden(fixture);
    for (const GoldenPrompt& prompt : golden.prompts) {
      Sequence sequence = model.start();
      Row row = model.run(sequence, prompt.ids).back();
      for (std::size_t s = 0; s < prompt.generated.size(); ++s) {
        CAPTURE(fixture, prompt.ids.size(), s);
        if (prompt.margins[s] < 2 * golden.tolerance) break;
        const std::int32_t token = argmax(row);
        REQUIRE(token == prompt.generated[s]);
        row = model.run(sequence, {token}, true).front();
      }
    }
  }
}
