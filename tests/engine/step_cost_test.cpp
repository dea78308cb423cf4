#include "engine/scheduler/step_cost.h"

#include <catch2/catch.hpp>

using namespace krait;

namespace {

/// A machine on which a step takes 20 ms and 1 ms a decode, and a prompt's token 2 ms.
double seconds_of(int decodes, int prefill_tokens) {
  return (decodes > 0 ? 0.02 : 0.01) + 0.001 * decodes + 0.002 * prefill_tokens;
}

}  // namespace

TEST_CASE("without decodes a prompt has the whole step", "[scheduler]") {
  CHECK(prefill_allowance({}, {}, 0, 2048) == 2048);
}

TEST_CASE("before anything is known, prompts beside decodes come in small pieces", "[scheduler]") {
  CHECK(prefill_allowance({}, {.target_seconds = 0, .tile = 16}, 3, 2048) == 64);
  CHECK(prefill_allowance({}, {.target_seconds = 0, .tile = 16}, 3, 20) == 20);
}

TEST_CASE("pieces are learned to keep a step under three times one without them, and over its share", "[scheduler]") {
  StepCost cost;
  cost.learn(0, 512, seconds_of(0, 512));
  for (int i = 0; i < 5; ++i) cost.learn(16, 0, seconds_of(16, 0));
  const double alone = seconds_of(16, 0);
  for (int i = 0; i < 10; ++i) {
    const int tokens = prefill_allowance(cost, {}, 16, 2048);
    const double step = seconds_of(16, tokens);
    CHECK(step < 3 * alone);
    CHECK((step - alone) / step > 0.4);
    CHECK(tokens % 4 == 0);
    cost.learn(16, tokens, step);
  }
}

TEST_CASE("a target is kept where prompts still get their share", "[scheduler]") {
  StepCost cost;
  cost.learn(4, 0, 0.024);
  cost.learn(4, 100, 0.224);
  // 100 ms: 76 ms for the prompt, 38 tokens, cut at the tile.
  CHECK(prefill_allowance(cost, {.target_seconds = 0.1, .tile = 16}, 4, 2048) == 32);
  // A tile that is larger than what the target leaves does not make the piece larger.
  CHECK(prefill_allowance(cost, {.target_seconds = 0.1, .tile = 192, .row_tile = 1}, 4, 2048) == 38);
  CHECK(prefill_allowance(cost, {.target_seconds = 1, .tile = 192}, 4, 2048) == 384);
  // 25 ms would leave 1 ms for prompts; they get 40 % of a step of 40 ms: 8 tokens, and would never get fewer.
  CHECK(prefill_allowance(cost, {.target_seconds = 0.025, .tile = 16}, 4, 2048) == 8);
  // Never over what the step has.
  CHECK(prefill_allowance(cost, {.target_seconds = 10, .tile = 16}, 4, 300) == 300);
}

TEST_CASE("small pieces fill up the tiles of rows that a step multiplies", "[scheduler]") {
  StepCost cost;
  cost.learn(4, 0, 0.024);
  cost.learn(4, 100, 0.224);
  const auto tokens = [&](int decodes, int row_tile) {
    return prefill_allowance(cost, {.target_seconds = 0.1, .tile = 192, .row_tile = row_tile}, decodes, 2048);
  };
  // 38 by the target: 42 rows with 4 decodes, 43 with 5, 46 with 8.
  CHECK(tokens(4, 6) == 38);
  CHECK(tokens(5, 6) == 37);
  CHECK(tokens(8, 6) == 40);
  CHECK(tokens(8, 12) == 40);
  CHECK(tokens(4, 12) == 44);
}

TEST_CASE("an unseen number of decodes costs what the nearest seen one does", "[scheduler]") {
  StepCost cost;
  CHECK_FALSE(cost.decode_seconds(1));
  cost.learn(16, 0, 0.5);
  CHECK(cost.decode_seconds(1) == 0.5);
  cost.learn(1, 0, 0.25);
  CHECK(cost.decode_seconds(1) == 0.25);
  CHECK(cost.decode_seconds(2) == 0.25);
  CHECK(cost.decode_seconds(12) == 0.5);
  CHECK(cost.decode_seconds(1 << 30) == 0.5);
}

TEST_CASE("times that make no sense teach nothing", "[scheduler]") {
  StepCost cost;
  cost.learn(1, 0, 0);
  cost.learn(1, 0, -1);
  cost.learn(1, 64, 1);
  CHECK_FALSE(cost.decode_seconds(1));
  CHECK_FALSE(cost.prefill_token_seconds());
}

TEST_CASE("one slow step changes little of what is known, a lasting change all of it", "[scheduler]") {
  StepCost cost;
  const PrefillShare share{.target_seconds = 0, .tile = 192};
  for (int i = 0; i < 20; ++i) cost.learn(16, 0, 0.1);
  for (int i = 0; i < 20; ++i) cost.learn(16, 32, 0.2);
  const int before = prefill_allowance(cost, share, 16, 2048);
  cost.learn(16, 32, 0.3);
  const int after = prefill_allowance(cost, share, 16, 2048);
  CHECK(after <= before);
  CHECK(after >= before - 4);
  for (int i = 0; i < 60; ++i) cost.learn(16, 32, 0.3);
  CHECK(prefill_allowance(cost, share, 16, 2048) < before * 6 / 10);
}

TEST_CASE("a slow spell just before a prompt does not make its pieces longer for good", "[scheduler]") {
  StepCost cost;
  for (int i = 0; i < 50; ++i) cost.learn(16, 0, i % 2 == 0 ? 0.1 : 0.13);
  const double undisturbed = cost.decode_seconds(16).value();
  CHECK(undisturbed > 0.1);
  CHECK(undisturbed < 0.11);
  for (int i = 0; i < 10; ++i) cost.learn(16, 0, 0.2);
  CHECK(cost.decode_seconds(16).value() < 0.14);
  for (int i = 0; i < 10; ++i) cost.learn(16, 0, 0.1);
  CHECK(cost.decode_seconds(16).value() < 0.11);
}
