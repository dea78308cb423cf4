#include "kernels/stochastic_rounding.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <set>

#include "tests/kernels/recurrence.h"

namespace krait {
namespace {

using test::Matrix;
using test::Sequences;
using test::SsmModel;
using test::StateSlots;

constexpr StateRounding kTenRounds{.philox_rounds = 10, .seed = 0x1234567890ABCDEFU, .layer = 3};

/// The rounding of `x` as element `n` of a row.
float rounded(float x, const StateRounding& how, std::uint32_t position, std::uint32_t row, int n) {
  const auto words = rounding_words(how, position, row, static_cast<std::uint32_t>(n / kRoundedTogether));
  return round_stochastically(x, rounding_bits(words, n % kRoundedTogether));
}

/// The float16 values around a positive `x`.
std::pair<float, float> neighbours(float x) {
  std::uint16_t below = 0;
  while (float16_to_float(static_cast<std::uint16_t>(below + 1)) <= x) ++below;
  return {float16_to_float(below), float16_to_float(static_cast<std::uint16_t>(below + 1))};
}

constexpr int kHeads = 4, kHeadDim = 6, kGroups = 2;

SsmModel model_of(test::Random& random, int state_size) { return {random, kHeads, kHeadDim, kGroups, state_size}; }

StateSlots stochastic_slots(const SsmModel& model) {
  StateSlots slots(6, 0, model.state_elements(), DType::kFloat16, DType::kFloat16);
  slots.view.rounding = kTenRounds;
  return slots;
}

Matrix scan(Operations& ops, const SsmModel& model, const SsmModel::Inputs& in, const Sequences& sequences,
            const std::vector<std::int32_t>& before, const StateCacheView& state) {
  SequenceBatch batch = sequences.batch();
  batch.num_computed_tokens = before;
  return model.scan(ops, in, batch, state);
}

Matrix update(Operations& ops, const SsmModel& model, const SsmModel::Inputs& in, const Sequences& rows,
              const std::vector<std::int32_t>& positions, const StateCacheView& state) {
  Matrix y(in.x.rows, in.x.columns, 77.0F);
  SelectiveStateUpdateArgs args = model.update_args(in, rows, state, y);
  args.positions = positions;
  ops.selective_state_update(args);
  return y;
}

}  // namespace

TEST_CASE("The mean of 100,000 stochastic roundings is the number within three standard errors") {
  // Normal and subnormal numbers, close to a neighbour and half way, and what rounds to the smallest normal number.
  for (const float x : {1.0002F, 1.0007F, 0.33333F, 3.14159F, 1234.56F, 65503.0F, 3e-5F, 1.7e-6F, 3e-8F, 6.10e-5F}) {
    const auto [below, above] = neighbours(x);
    double sum = 0;
    constexpr int kCount = 100000;
    for (int i = 0; i < kCount; ++i) {
      const float y = rounded(x, kTenRounds, static_cast<std::uint32_t>(i / 64), 5, i % 64);
      REQUIRE((y == below || y == above));
      sum += static_cast<double>(y);
    }
    const double step = static_cast<double>(above) - static_cast<double>(below);
    const double up = (static_cast<double>(x) - static_cast<double>(below)) / step;
    const double standard_error = step * std::sqrt(up * (1.0 - up) / kCount);
    CAPTURE(x, below, above, up);
    CHECK(std::abs(sum / kCount - static_cast<double>(x)) <= 3.0 * standard_error);
    CHECK(rounded(-x, kTenRounds, 9, 5, 2) == -rounded(x, kTenRounds, 9, 5, 2));
  }
}

TEST_CASE("What float16 holds stays, and what it cannot hold is left to the nearest") {
  for (std::uint32_t bits : {0U, 1U, 0xFFFU, 0x1FFFU}) {
    for (std::uint16_t half = 0; half < 0x7C00; ++half) {
      const float x = float16_to_float(half);
      REQUIRE(round_stochastically(x, bits) == x);
    }
    for (const float x : {65510.0F, 65504.5F, -1e9F, std::numeric_limits<float>::infinity()}) {
      CHECK(round_stochastically(x, bits) == x);
    }
    CHECK(std::isnan(round_stochastically(std::nanf(""), bits)));
    CHECK(std::signbit(round_stochastically(-0.0F, bits)));
  }
}

TEST_CASE(
    "The bits differ from position to position, row to row, element to element, layer to layer and seed to seed") {
  const auto draws = [](StateRounding how, std::uint32_t position, std::uint32_t row) {
    std::vector<std::uint32_t> bits;
    for (std::uint32_t block = 0; block < 4; ++block) {
      const auto words = rounding_words(how, position, row, block);
      for (int i = 0; i < kRoundedTogether; ++i) bits.push_back(rounding_bits(words, i));
    }
    return bits;
  };
  StateRounding layer = kTenRounds, seed = kTenRounds, rounds = kTenRounds;
  layer.layer = 4;
  seed.seed ^= std::uint64_t{1} << 40;
  rounds.philox_rounds = 7;
  const auto first = draws(kTenRounds, 1, 1);
  CHECK(std::set(first.begin(), first.end()).size() > 28);
  CHECK(draws(kTenRounds, 1, 1) == first);
  for (const auto& other :
       {draws(kTenRounds, 2, 1), draws(kTenRounds, 1, 2), draws(layer, 1, 1), draws(seed, 1, 1), draws(rounds, 1, 1)}) {
    CHECK(other != first);
  }
}

TEST_CASE("Stochastically rounded states: cut anywhere, by either operation, beside others, on every instruction set") {
  for (const auto& machine : test::machines()) {
    for (std::uint32_t seed = 1; seed <= 8; ++seed) {
      test::Random random(seed);
      const SsmModel model = model_of(random, random.integer(1, 70));
      const int tokens = random.integer(2, 60);
      const auto in = model.inputs(random, tokens);
      CAPTURE(machine->label, seed, tokens, model.state_size);
      StateSlots whole_slots = stochastic_slots(model);
      Sequences whole;
      whole.add(tokens, 2, 2, false);
      const Matrix expected = scan(machine->ops(), model, in, whole, {0}, whole_slots.view);

      // Each piece is the second sequence of its batch; a stranger of other positions is the first.
      StateSlots slots = stochastic_slots(model);
      const auto stranger = model.inputs(random, tokens);
      Matrix pieces;
      for (int begin = 0; begin < tokens;) {
        const int end = std::min(tokens, begin + random.integer(1, 20));
        const int count = end - begin;
        const bool single = count == 1 && random.integer(0, 1) == 1;
        Sequences part;
        part.add(count, 3, 4, false);
        part.add(count, 1, 1, begin > 0);
        SsmModel::Inputs both = stranger.slice(begin, end);
        both.append(in.slice(begin, end));
        const std::vector<std::int32_t> before{1000 - begin, begin};
        const Matrix y = single ? update(machine->ops(), model, both, part, before, slots.view)
                                : scan(machine->ops(), model, both, part, before, slots.view);
        pieces.append(y.slice(count, 2 * count));
        begin = end;
      }
      CHECK(test::same_bits(pieces, expected));
      CHECK(slots.slot(1) == whole_slots.slot(2));
    }
  }
}

TEST_CASE("A state of one token is the rounding of the float32 state, element by element") {
  for (const auto& machine : test::machines()) {
    test::Random random(3);
    const SsmModel model = model_of(random, 21);
    const auto in = model.inputs(random, 1);
    StateSlots exact(6, 0, model.state_elements(), DType::kFloat32, DType::kFloat32);
    StateSlots slots = stochastic_slots(model);
    Sequences rows;
    rows.add(1, 1, 1, false);
    const Matrix y = update(machine->ops(), model, in, rows, {77}, slots.view);
    CHECK(test::same_bits(y, update(machine->ops(), model, in, rows, {77}, exact.view)));
    const std::vector<std::byte> halves = slots.recurrent_of(1), floats = exact.recurrent_of(1);
    for (int e = 0; e < model.state_elements(); ++e) {
      float before = 0.0F;
      std::uint16_t after = 0;
      std::memcpy(&before, floats.data() + 4 * e, 4);
      std::memcpy(&after, halves.data() + 2 * e, 2);
      REQUIRE(float16_to_float(after) ==
              rounded(before, kTenRounds, 77, static_cast<std::uint32_t>(e / model.state_size), e % model.state_size));
    }
  }
}

TEST_CASE("Mamba-1's stochastically rounded states are those of any cut") {
  for (const auto& machine : test::machines()) {
    for (std::uint32_t seed = 1; seed <= 4; ++seed) {
      test::Random random(seed);
      const auto recurrence = test::make_selective_scan(random);
      const int tokens = random.integer(2, 50);
      const int cut = random.integer(1, tokens - 1);
      const test::Tokens in = recurrence->tokens(random, tokens);
      StateSlots whole = recurrence->slots(4, DType::kFloat16), pieces = recurrence->slots(4, DType::kFloat16);
      whole.view.rounding = pieces.view.rounding = kTenRounds;
      const auto run = [&](int begin, int end, const StateCacheView& state) {
        Sequences sequences;
        sequences.add(end - begin, 1, 1, begin > 0);
        const std::vector<std::int32_t> before{begin};
        SequenceBatch batch = sequences.batch();
        batch.num_computed_tokens = before;
        Matrix y(end - begin, recurrence->out_columns());
        recurrence->run(machine->ops(), in.slice(begin, end), batch, state, y.view());
        return y;
      };
      Matrix cut_y = run(0, cut, pieces.view);
      cut_y.append(run(cut, tokens, pieces.view));
      CAPTURE(machine->label, seed, recurrence->label(), tokens, cut);
      CHECK(test::same_bits(cut_y, run(0, tokens, whole.view)));
      CHECK(pieces.slot(1) == whole.slot(1));
    }
  }
}

}  // namespace krait
