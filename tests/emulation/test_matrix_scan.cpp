#include <catch2/catch.hpp>

#include "tests/emulation/delta_support.h"
#include "tests/emulation/emulation_support.h"

namespace krait {
namespace {

using test::Matrix;
using test::Sequences;
using test::StateSlots;

constexpr test::MakeRecurrence kRecurrences[] = {test::make_delta_rule, test::make_linear_attention, test::make_rg_lru};
constexpr DType kTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};

/// Sequences that begin, go on into the same and into another slot, are empty, and are padding.
Sequences mixed_sequences(int tokens) {
  Sequences sequences;
  sequences.add(tokens, 1, 1, true);
  sequences.add(0, 2, 3, true);
  sequences.add(1, 4, 5, true);
  sequences.add(2, 0, 0, false);
  sequences.add(3, 2, 2, false);
  sequences.add(1, 0, 0, true);
  return sequences;
}

}  // namespace

TEST_CASE("emulated: delta rules of models' sizes agree with the CPU") {
  test::Machine cpu("portable", 1);
  const auto gpu = test::make_emulated_platform();
  const auto queue = gpu->create_queue();
  const test::DeltaSize sizes[] = {{.value_heads = 2},
                                   {.value_dim = 40, .per_channel = true},
                                   {.value_dim = 33, .per_channel = true, .dtype = DType::kBFloat16},
                                   {.dtype = DType::kFloat16},
                                   {.key_dim = 192, .value_dim = 20},
                                   {.key_dim = 256, .value_dim = 20, .per_channel = true, .dtype = DType::kBFloat16},
                                   {.key_dim = 301, .value_dim = 7},
                                   {.key_dim = 512, .value_dim = 7, .dtype = DType::kFloat16}};
  for (const test::DeltaSize& size : sizes) {
    for (const int tokens : {1, 3}) {
      test::Random random(static_cast<std::uint32_t>(size.key_dim + tokens));
      const test::DeltaInputs in(random, size, tokens);
      CAPTURE(size.key_dim, size.value_dim, size.per_channel, dtype_name(size.dtype), tokens);
      const auto expected = test::wide(test::run_delta(cpu.ops(), size, in));
      test::in_every_order([&] {
        const auto result = test::run_delta(queue->ops(), size, in);
        queue->wait();
        CHECK(test::worst_error(result, expected) < test::tolerance(size.dtype));
      });
    }
  }
}

TEST_CASE("emulated: matrix recurrences and the RG-LRU are their formulas") {
  const auto gpu = test::make_emulated_platform();
  const auto queue = gpu->create_queue();
  for (const auto make : kRecurrences) {
    for (std::uint32_t seed = 1; seed <= 8; ++seed) {
      test::Random random(seed);
      const auto recurrence = make(random);
      const int tokens = random.integer(1, 12);
      CAPTURE(seed, recurrence->label(), tokens);
      const test::Tokens in = recurrence->tokens(random, tokens);
      const test::Exact exact = recurrence->exact(in, DType::kFloat32);
      test::in_every_order([&] {
        StateSlots slots = recurrence->slots(3, DType::kFloat32);
        Sequences sequences;
        sequences.add(tokens, 1, 2, false);
        const Matrix out = recurrence->run(queue->ops(), in, sequences, slots.view);
        queue->wait();
        CHECK(test::worst_error(out.data, exact.out) < 2e-5);
        CHECK(test::worst_error(test::state_of(*recurrence, slots, 2), exact.state) < 2e-5);
      });
    }
  }
}

TEST_CASE("emulated: matrix recurrences and the RG-LRU agree with the CPU over batches, slots and types") {
  test::Machine cpu("portable", 1);
  const auto gpu = test::make_emulated_platform();
  const auto queue = gpu->create_queue();
  for (const auto make : kRecurrences) {
    for (std::uint32_t seed = 11; seed <= 16; ++seed) {
      test::Random random(seed);
      const auto recurrence = make(random);
      const DType dtype = kTypes[seed % 3];
      CAPTURE(seed, recurrence->label(), dtype_name(dtype));
      StateSlots before = recurrence->slots(7, dtype);
      Sequences first;
      first.add(2, 1, 1, false);
      first.add(3, 4, 4, false);
      first.add(1, 2, 2, false);
      static_cast<void>(recurrence->run(cpu.ops(), recurrence->tokens(random, 6), first, before.view));
      const Sequences sequences = mixed_sequences(random.integer(1, 9));
      const test::Tokens in = recurrence->tokens(random, sequences.query_start_loc.back());

      const auto run = [&](Operations& ops, StateSlots& slots) {
        slots = recurrence->slots(7, dtype);
        slots.memory.assign(before.memory.begin(), before.memory.end());
        slots.view.recurrent = slots.memory.data();
        return recurrence->run(ops, in, sequences, slots.view);
      };
      StateSlots expected_slots = before;
      const Matrix expected = run(cpu.ops(), expected_slots);
      test::in_every_order([&] {
        StateSlots slots = before;
        const Matrix out = run(queue->ops(), slots);
        queue->wait();
        CHECK(test::worst_error(out.data, test::wide(expected.data)) < test::tolerance(dtype));
        for (const int slot : {1, 2, 5}) {
          const auto state = test::state_of(*recurrence, slots, slot);
          CHECK(test::worst_error(state, test::wide(test::state_of(*recurrence, expected_slots, slot))) <
                test::tolerance(dtype));
        }
        for (const int slot : {0, 3, 4, 6}) CHECK((slots.slot(slot) == before.slot(slot)));
      });
    }
  }
}

}  // namespace krait
