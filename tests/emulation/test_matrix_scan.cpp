#include <catch2/catch.hpp>

#include "tests/emulation/emulation_support.h"
#include "tests/kernels/recurrence.h"

namespace krait {
namespace {

using test::Matrix;
using test::Sequences;
using test::StateSlots;

constexpr test::MakeRecurrence kRecurrences[] = {test::make_delta_rule, test::make_linear_attention, test::make_rg_lru};
constexpr DType kTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};

/// How far a state may be from another one that was summed in another order: some roundings of its type.
double tolerance(DType dtype) {
  if (dtype == DType::kFloat32) return 2e-5;
  return dtype == DType::kBFloat16 ? 3e-2 : 4e-3;
}

/// A slot's recurrent state as numbers.
std::vector<float> decode(const StateSlots& slots, int slot, std::int64_t elements) {
  std::vector<float> values;
  const std::byte* from = slots.view.recurrent + static_cast<std::size_t>(slot) * slots.view.slot_stride;
  for (std::int64_t i = 0; i < elements; ++i) {
    if (slots.view.recurrent_dtype == DType::kFloat32) {
      values.push_back(0.0F);
      std::memcpy(&values.back(), from + 4 * i, 4);
    } else {
      std::uint16_t half = 0;
      std::memcpy(&half, from + 2 * i, 2);
      const bool bfloat = slots.view.recurrent_dtype == DType::kBFloat16;
      values.push_back(bfloat ? bfloat16_to_float(half) : float16_to_float(half));
    }
  }
  return values;
}

std::vector<float> state_of(const test::Recurrence& recurrence, const StateSlots& slots, int slot) {
  return decode(slots, slot, recurrence.recurrent_elements());
}

std::vector<double> wide(const std::vector<float>& values) { return {values.begin(), values.end()}; }

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

/// A delta rule of one key head whose rows lie as a model's do: aligned, where the size allows it.
struct DeltaSize {
  int value_heads = 1;
  int key_dim = 128;
  int value_dim = 128;
  bool per_channel = false;
  DType dtype = DType::kFloat32;
};

struct DeltaInputs {
  Matrix q, k, v, decay, beta, a, bias;

  DeltaInputs(test::Random& random, const DeltaSize& size, int tokens)
      : q(random.matrix(tokens, size.key_dim)),
        k(random.matrix(tokens, size.key_dim)),
        v(random.matrix(tokens, size.value_heads * size.value_dim)),
        decay(random.matrix(tokens, size.value_heads * (size.per_channel ? size.key_dim : 1), 3.0F)),
        beta(random.matrix(tokens, size.value_heads, 2.0F)),
        a(random.matrix(1, size.value_heads)),
        bias(random.matrix(1, decay.columns)) {
    for (float& x : a.data) x = -0.1F - std::abs(x);
  }
};

/// Outputs, then the state of slot 1.
std::vector<float> run_delta(Operations& ops, const DeltaSize& size, const DeltaInputs& in) {
  const auto tokens = static_cast<int>(in.q.rows);
  StateSlots slots(2, 0, std::int64_t{size.value_heads} * size.value_dim * size.key_dim, size.dtype, size.dtype);
  Sequences sequences;
  sequences.add(tokens, 1, 1, false);
  Matrix out(tokens, in.v.columns, 77.0F);
  ops.delta_rule({.q = in.q.view(),
                  .k = in.k.view(),
                  .v = in.v.view(),
                  .decay = in.decay.view(),
                  .decay_per_channel = size.per_channel,
                  .a = in.a.flat(),
                  .decay_bias = in.bias.flat(),
                  .beta = in.beta.view(),
                  .key_heads = 1,
                  .value_heads = size.value_heads,
                  .key_dim = size.key_dim,
                  .value_dim = size.value_dim,
                  .batch = sequences.batch(),
                  .state = slots.view,
                  .out = out.view()});
  const auto elements = static_cast<std::int64_t>(size.value_heads) * size.value_dim * size.key_dim;
  const auto state = decode(slots, 1, elements);
  out.data.insert(out.data.end(), state.begin(), state.end());
  return out.data;
}

}  // namespace

TEST_CASE("emulated: delta rules of models' sizes agree with the CPU") {
  test::Machine cpu("portable", 1);
  const auto gpu = test::make_emulated_platform();
  const auto queue = gpu->create_queue();
  const DeltaSize sizes[] = {{.value_heads = 2},
                             {.value_dim = 40, .per_channel = true},
                             {.value_dim = 33, .per_channel = true, .dtype = DType::kBFloat16},
                             {.dtype = DType::kFloat16},
                             {.key_dim = 192, .value_dim = 20},
                             {.key_dim = 256, .value_dim = 20, .per_channel = true, .dtype = DType::kBFloat16},
                             {.key_dim = 301, .value_dim = 7},
                             {.key_dim = 512, .value_dim = 7, .dtype = DType::kFloat16}};
  for (const DeltaSize& size : sizes) {
    for (const int tokens : {1, 3}) {
      test::Random random(static_cast<std::uint32_t>(size.key_dim + tokens));
      const DeltaInputs in(random, size, tokens);
      CAPTURE(size.key_dim, size.value_dim, size.per_channel, dtype_name(size.dtype), tokens);
      const auto expected = wide(run_delta(cpu.ops(), size, in));
      test::in_every_order([&] {
        const auto result = run_delta(queue->ops(), size, in);
        queue->wait();
        CHECK(test::worst_error(result, expected) < tolerance(size.dtype));
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
        CHECK(test::worst_error(state_of(*recurrence, slots, 2), exact.state) < 2e-5);
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
        CHECK(test::worst_error(out.data, wide(expected.data)) < tolerance(dtype));
        for (const int slot : {1, 2, 5}) {
          const auto state = state_of(*recurrence, slots, slot);
          CHECK(test::worst_error(state, wide(state_of(*recurrence, expected_slots, slot))) < tolerance(dtype));
        }
        for (const int slot : {0, 3, 4, 6}) CHECK((slots.slot(slot) == before.slot(slot)));
      });
    }
  }
}

}  // namespace krait
