#include <catch2/catch.hpp>

#include "kernels/cuda/delta/delta_chunks.h"
#include "tests/emulation/delta_support.h"
#include "tests/emulation/emulation_support.h"

namespace krait {
namespace {

using test::DeltaInputs;
using test::DeltaSize;
using test::Matrix;
using test::Sequences;
using test::StateSlots;

/// Of float32 results; states in 16 bits are rounded once in chunks, and after every token on the CPU.
double chunk_tolerance(DType dtype) {
  if (dtype == DType::kFloat32) return 3e-5;
  return dtype == DType::kBFloat16 ? 6e-2 : 8e-3;
}

void check_against_cpu(const DeltaSize& size, const DeltaInputs& in, double tolerance) {
  test::Machine cpu("portable", 1);
  const auto gpu = test::make_emulated_platform();
  const auto queue = gpu->create_queue();
  const auto expected = test::wide(test::run_delta(cpu.ops(), size, in));
  test::in_every_order([&] {
    const auto result = test::run_delta(queue->ops(), size, in);
    queue->wait();
    CHECK(test::worst_error(result, expected) < tolerance);
  });
}

}  // namespace

TEST_CASE("emulated: a delta rule in chunks is its formula") {
  const auto gpu = test::make_emulated_platform();
  const auto queue = gpu->create_queue();
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    test::Random random(seed);
    const auto recurrence = test::make_delta_rule(random);
    const int tokens = random.integer(64, 200);
    CAPTURE(seed, recurrence->label(), tokens);
    const test::Tokens in = recurrence->tokens(random, tokens);
    const test::Exact exact = recurrence->exact(in, DType::kFloat32);
    const auto run = [&] {
      StateSlots slots = recurrence->slots(3, DType::kFloat32);
      Sequences sequences;
      sequences.add(tokens, 1, 2, false);
      const Matrix out = recurrence->run(queue->ops(), in, sequences, slots.view);
      queue->wait();
      CHECK(test::worst_error(out.data, exact.out) < 3e-5);
      CHECK(test::worst_error(test::state_of(*recurrence, slots, 2), exact.state) < 3e-5);
    };
    seed % 3 == 0 ? test::in_every_order(run) : run();
  }
}

TEST_CASE("emulated: chunks, short, empty and padded sequences go together") {
  test::Machine cpu("portable", 1);
  const auto gpu = test::make_emulated_platform();
  const auto queue = gpu->create_queue();
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    test::Random random(static_cast<std::uint32_t>(dtype) + 40);
    const auto recurrence = test::make_delta_rule(random);
    CAPTURE(recurrence->label(), dtype_name(dtype));
    Sequences first;
    first.add(5, 1, 1, false);
    first.add(5, 2, 2, false);
    const test::Tokens begun = recurrence->tokens(random, 10);
    Sequences sequences;
    sequences.add(66, 1, 4, true);  // goes on in another slot
    sequences.add(0, 2, 3, true);
    sequences.add(64, 0, 0, false);  // padding
    sequences.add(63, 2, 2, true);   // token by token
    sequences.add(130, 5, 5, false);
    const test::Tokens in = recurrence->tokens(random, sequences.query_start_loc.back());

    StateSlots expected_slots = recurrence->slots(6, dtype);
    static_cast<void>(recurrence->run(cpu.ops(), begun, first, expected_slots.view));
    StateSlots slots = recurrence->slots(6, dtype);
    slots.memory.assign(expected_slots.memory.begin(), expected_slots.memory.end());
    slots.view.recurrent = slots.memory.data();
    const std::vector<std::byte> before = slots.memory;
    const Matrix expected = recurrence->run(cpu.ops(), in, sequences, expected_slots.view);
    const Matrix out = recurrence->run(queue->ops(), in, sequences, slots.view);
    queue->wait();
    CHECK(test::worst_error(out.data, test::wide(expected.data)) < chunk_tolerance(dtype));
    for (const int slot : {2, 4, 5}) {
      const auto state = test::wide(test::state_of(*recurrence, expected_slots, slot));
      CHECK(test::worst_error(test::state_of(*recurrence, slots, slot), state) < chunk_tolerance(dtype));
    }
    for (const int slot : {0, 1, 3}) {
      const auto at = static_cast<std::ptrdiff_t>(slot * slots.view.slot_stride);
      CHECK(std::equal(before.begin() + at, before.begin() + at + static_cast<std::ptrdiff_t>(slots.view.slot_stride),
                       slots.memory.begin() + at));
    }
  }
}

TEST_CASE("emulated: chunks of models' sizes agree with the CPU") {
  for (const bool per_channel : {false, true}) {
    const DeltaSize size{.value_heads = per_channel ? 1 : 2, .per_channel = per_channel, .dtype = DType::kFloat32};
    test::Random random(5);
    check_against_cpu(size, DeltaInputs(random, size, 97), chunk_tolerance(size.dtype));
  }
}

TEST_CASE("emulated: chunks bear keys that repeat, no decay, and decays beyond a float's range") {
  for (const bool per_channel : {false, true}) {
    const DeltaSize size{.key_dim = 48, .value_dim = 17, .per_channel = per_channel, .beta_scale = 2.0F};
    test::Random random(6);
    for (const char* kind : {"no decay", "strong", "both"}) {
      CAPTURE(per_channel, kind);
      DeltaInputs in(random, size, 130);
      for (std::int64_t t = 0; t < in.k.rows; ++t) {
        in.beta.at(t, 0) = 20.0F;
        for (std::int64_t c = 0; c < in.k.columns; ++c) in.k.at(t, c) = in.k.at(t % 2, c);
        for (std::int64_t c = 0; c < in.decay.columns; ++c) {
          const bool strong = kind[0] == 's' || (kind[0] == 'b' && random.integer(0, 3) == 0);
          in.decay.at(t, c) = strong ? 90.0F : -90.0F;
        }
      }
      // Reflections that nothing damps sum 64 terms of changing sign: W loses some of its digits.
      check_against_cpu(size, in, kind[0] == 's' ? chunk_tolerance(size.dtype) : 5e-4);
    }
  }
}

TEST_CASE("emulated: a delta rule's chunks give the same bits in any number of turns") {
  const DeltaSize size{.value_heads = 2, .key_dim = 20, .value_dim = 18};
  test::Random random(7);
  const int tokens = 200;
  const DeltaInputs in(random, size, tokens);
  const std::vector<std::int32_t> starts{0, 70, 200}, slots_of{1, 2}, first_chunk{0, 2, 5};
  const std::vector<cuda::ScanChunk> cut{{0, 0, 64}, {0, 64, 6}, {1, 70, 64}, {1, 134, 64}, {1, 198, 2}};
  const std::vector<std::uint8_t> initial{0, 0};
  const auto run = [&](int at_once) {
    StateSlots slots(3, 0, size.state_elements(), size.dtype, size.dtype);
    Matrix out(tokens, in.v.columns, 77.0F);
    const auto rows = [](const Matrix& m) { return cuda::ConstRows{m.data.data(), m.columns}; };
    const cuda::DeltaRule rule{
        .scan = {.sequences = {starts.data(), slots_of.data(), slots_of.data(), initial.data(), 2},
                 .state = {slots.view.recurrent, slots.view.slot_stride, size.dtype},
                 .heads = size.value_heads,
                 .value_dim = size.value_dim,
                 .key_dim = size.key_dim},
        .q = rows(in.q),
        .k = rows(in.k),
        .v = rows(in.v),
        .decay = rows(in.decay),
        .beta = rows(in.beta),
        .a = in.a.data.data(),
        .key_heads = 1,
        .out = {out.data.data(), out.columns}};
    const std::size_t bytes = cuda::delta_chunk_bytes(size.key_dim, size.value_dim) * 2;
    const auto device = test::make_emulated_device();
    const Buffer operands = device->allocate(bytes * static_cast<std::size_t>(at_once));
    cuda::delta_rule_chunks(rule,
                            {.first_chunk = first_chunk.data(),
                             .chunks = cut.data(),
                             .end = 5,
                             .at_once = at_once,
                             .operands = operands.data.get()},
                            nullptr);
    for (const int slot : {1, 2}) {
      const auto state = test::decode(slots, slot, size.state_elements());
      out.data.insert(out.data.end(), state.begin(), state.end());
    }
    return out.data;
  };
  const auto whole = run(5);
  for (const float value : whole) REQUIRE(std::isfinite(value));
  for (const int at_once : {1, 2, 3, 4}) CHECK(test::same_bits(run(at_once), whole));
}

}  // namespace krait
