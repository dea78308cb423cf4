#include <catch2/catch.hpp>
#include <cmath>

#include "tests/kernels/state_support.h"

namespace krait {
namespace {

using test::ConvModel;
using test::Matrix;
using test::Sequences;
using test::StateSlots;

constexpr DType kTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};

StateSlots slots_for(const ConvModel& model, DType dtype) {
  return {6, std::int64_t{model.kernel - 1} * model.channels, 0, dtype, dtype};
}

/// From zeros: predecessors as the state would have rounded them.
std::vector<double> reference(const ConvModel& model, const Matrix& x, DType dtype) {
  std::vector<double> out;
  for (int t = 0; t < x.rows; ++t) {
    for (int c = 0; c < model.channels; ++c) {
      double sum = model.has_bias ? static_cast<double>(model.bias.data[static_cast<std::size_t>(c)]) : 0.0;
      for (int k = 0; k < model.kernel; ++k) {
        const int from = t - (model.kernel - 1) + k;
        if (from < 0) continue;
        const float value = from == t ? x.at(t, c) : test::round_to(x.at(from, c), dtype);
        sum += static_cast<double>(model.weight.at(k, c)) * static_cast<double>(value);
      }
      out.push_back(model.silu ? sum / (1.0 + std::exp(-sum)) : sum);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("The convolution is the sum of its taps") {
  for (std::uint32_t seed = 1; seed <= 12; ++seed) {
    test::Random random(seed);
    ConvModel model(random, random.integer(1, 7), random.integer(1, 150));
    model.has_bias = seed % 2 == 0;
    model.silu = seed % 3 != 0;
    const DType dtype = kTypes[seed % 3];
    StateSlots slots = slots_for(model, dtype);
    const Matrix x = random.matrix(random.integer(1, 12), model.channels);
    CAPTURE(seed, model.kernel, model.channels, x.rows, dtype_name(dtype));
    Sequences sequences;
    sequences.add(static_cast<int>(x.rows), 3, 3, false);
    test::Machine machine;
    CHECK(test::worst_error(model.run(machine.ops(), x, sequences, slots.view).data, reference(model, x, dtype)) <
          1e-5);
  }
}

TEST_CASE("A sequence cut anywhere gives the convolution of the whole, and the same state") {
  test::Machine& machine = *test::machines().back();
  for (std::uint32_t seed = 1; seed <= 12; ++seed) {
    test::Random random(seed);
    const ConvModel model(random, random.integer(1, 6), 40);
    const DType dtype = kTypes[seed % 3];
    const int tokens = random.integer(2, 20);
    const Matrix x = random.matrix(tokens, model.channels);
    CAPTURE(seed, model.kernel, tokens, dtype_name(dtype));
    StateSlots whole_slots = slots_for(model, dtype);
    Sequences whole;
    whole.add(tokens, 2, 2, false);
    const Matrix expected = model.run(machine.ops(), x, whole, whole_slots.view);

    StateSlots slots = slots_for(model, dtype);
    Matrix pieces;
    int slot = 1;
    for (int begin = 0; begin < tokens;) {
      const int end = std::min(tokens, begin + random.integer(1, 4));
      // Sometimes the state moves to another slot, as when a snapshot is read.
      const int next = random.integer(0, 1) == 1 ? slot : slot % 5 + 1;
      Sequences part;
      part.add(end - begin, slot, next, begin > 0);
      pieces.append(model.run(machine.ops(), x.slice(begin, end), part, slots.view));
      begin = end;
      slot = next;
    }
    CHECK(test::same_bits(pieces, expected));
    CHECK(slots.slot(slot) == whole_slots.slot(2));
  }
}

TEST_CASE("Sequences of a batch do not see each other; empty and padded ones change nothing") {
  test::Machine& machine = *test::machines().back();
  test::Random random(3);
  const ConvModel model(random, 4, 70);
  StateSlots slots = slots_for(model, DType::kFloat32);
  const Matrix x = random.matrix(8, model.channels);
  const auto untouched = slots.slot(4);
  const auto null_slot = slots.slot(0);
  Sequences sequences;
  sequences.add(3, 1, 1, false);
  sequences.add(0, 1, 4, true);
  sequences.add(1, 0, 0, true);
  sequences.add(4, 2, 2, false);
  const Matrix out = model.run(machine.ops(), x, sequences, slots.view);
  CHECK(slots.slot(4) == untouched);
  CHECK(slots.slot(0) == null_slot);
  CHECK(out.at(3, 0) == 77.0F);
  StateSlots alone_slots = slots_for(model, DType::kFloat32);
  Sequences alone;
  alone.add(4, 5, 5, false);
  CHECK(test::same_bits(model.run(machine.ops(), x.slice(4, 8), alone, alone_slots.view), out.slice(4, 8)));
  CHECK(alone_slots.slot(5) == slots.slot(2));
}

}  // namespace krait
