// What holds for every operation that takes sequences through a state.
#include <catch2/catch.hpp>

#include "tests/kernels/recurrence.h"

namespace krait {
namespace {

using test::Matrix;
using test::Sequences;
using test::StateSlots;

constexpr DType kTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};

/// A slot's conv or recurrent state as numbers.
std::vector<float> decode(const std::byte* from, std::int64_t count, DType dtype) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) {
    if (dtype == DType::kFloat32) {
      values.push_back(0.0F);
      std::memcpy(&values.back(), from + 4 * i, 4);
    } else {
      std::uint16_t half = 0;
      std::memcpy(&half, from + 2 * i, 2);
      values.push_back(dtype == DType::kBFloat16 ? bfloat16_to_float(half) : float16_to_float(half));
    }
  }
  return values;
}

std::vector<float> state_of(const test::Recurrence& recurrence, const StateSlots& slots, int slot, DType dtype) {
  const auto offset = static_cast<std::size_t>(slot) * slots.view.slot_stride;
  std::vector<float> values = decode(slots.view.conv + offset, recurrence.conv_elements(), dtype);
  const auto recurrent = decode(slots.view.recurrent + offset, recurrence.recurrent_elements(), dtype);
  values.insert(values.end(), recurrent.begin(), recurrent.end());
  return values;
}

}  // namespace

TEST_CASE("Every recurrence is its formula") {
  test::Machine& machine = *test::machines().back();
  for (const auto make : test::kRecurrences) {
    for (std::uint32_t seed = 1; seed <= 100; ++seed) {
      test::Random random(seed);
      const auto recurrence = make(random);
      const int tokens = random.integer(1, 40);
      // Convolutions keep inputs, whose rounding the reference knows; other states round what has no exact value.
      const DType dtype = recurrence->conv_elements() > 0 ? kTypes[seed % 3] : DType::kFloat32;
      CAPTURE(seed, recurrence->label(), tokens, dtype_name(dtype));
      const test::Tokens in = recurrence->tokens(random, tokens);
      StateSlots slots = recurrence->slots(3, dtype);
      Sequences sequences;
      sequences.add(tokens, 1, 2, false);
      const Matrix out = recurrence->run(machine.ops(), in, sequences, slots.view);
      const test::Exact exact = recurrence->exact(in, dtype);
      CHECK(test::worst_error(out.data, exact.out) < 2e-5);
      CHECK(test::worst_error(state_of(*recurrence, slots, 2, dtype), exact.state) < 2e-5);
    }
  }
}

TEST_CASE("A recurrence cut anywhere gives the outputs and the state of the whole") {
  for (const auto& machine : test::machines()) {
    for (const auto make : test::kRecurrences) {
      for (std::uint32_t seed = 1; seed <= 12; ++seed) {
        test::Random random(seed);
        const auto recurrence = make(random);
        const DType dtype = kTypes[seed % 3];
        const int tokens = random.integer(2, 50);
        CAPTURE(machine->label, seed, recurrence->label(), tokens, dtype_name(dtype));
        const test::Tokens in = recurrence->tokens(random, tokens);
        StateSlots whole_slots = recurrence->slots(3, dtype);
        Sequences whole;
        whole.add(tokens, 2, 2, false);
        const Matrix expected = recurrence->run(machine->ops(), in, whole, whole_slots.view);

        const int longest = seed % 4 == 0 ? 1 : 20;  // 1: one token at a time
        StateSlots slots = recurrence->slots(6, dtype);
        Matrix pieces;
        int slot = 1;
        for (int begin = 0; begin < tokens;) {
          const int end = std::min(tokens, begin + random.integer(1, longest));
          const int next = random.integer(0, 1) == 1 ? slot : slot % 5 + 1;
          Sequences part;
          part.add(end - begin, slot, next, begin > 0);
          pieces.append(recurrence->run(machine->ops(), in.slice(begin, end), part, slots.view));
          begin = end;
          slot = next;
        }
        CHECK(test::same_bits(pieces, expected));
        CHECK((slots.slot(slot) == whole_slots.slot(2)));
      }
    }
  }
}

TEST_CASE("Sequences of a recurrence do not see each other, and padding and empty sequences change nothing") {
  for (const auto& machine : test::machines()) {
    for (const auto make : test::kRecurrences) {
      for (std::uint32_t seed = 1; seed <= 6; ++seed) {
        test::Random random(seed);
        const auto recurrence = make(random);
        const DType dtype = kTypes[seed % 3];
        CAPTURE(machine->label, seed, recurrence->label(), dtype_name(dtype));
        StateSlots slots = recurrence->slots(9, dtype);
        Sequences before;
        before.add(3, 6, 6, false);
        static_cast<void>(recurrence->run(machine->ops(), recurrence->tokens(random, 3), before, slots.view));
        StateSlots start = recurrence->slots(9, dtype);
        start.memory = slots.memory;

        const test::Tokens in = recurrence->tokens(random, 27);
        Sequences sequences;
        sequences.add(18, 1, 1, false);
        sequences.add(0, 1, 4, true);   // no tokens
        sequences.add(0, 2, 5, false);  // no tokens, fresh
        sequences.add(1, 3, 0, true);   // padding
        sequences.add(5, 6, 2, true);   // reads one slot, writes another
        sequences.add(2, 0, 0, false);  // padding
        sequences.add(1, 7, 7, false);
        const Matrix out = recurrence->run(machine->ops(), in, sequences, slots.view);
        for (const int slot : {0, 3, 4, 5, 6, 8}) CHECK((slots.slot(slot) == start.slot(slot)));
        for (const int row : {18, 24, 25}) CHECK(out.at(row, 0) == 77.0F);

        const auto alone = [&](int begin, int end, int read, int write, bool initial) {
          StateSlots own = recurrence->slots(9, dtype);
          own.memory = start.memory;
          Sequences one;
          one.add(end - begin, read, write, initial);
          const Matrix result = recurrence->run(machine->ops(), in.slice(begin, end), one, own.view);
          CHECK(test::same_bits(result, out.slice(begin, end)));
          CHECK((own.slot(write) == slots.slot(write)));
        };
        alone(0, 18, 1, 1, false);
        alone(19, 24, 6, 2, true);
        alone(26, 27, 7, 7, false);
      }
    }
  }
}

}  // namespace krait
