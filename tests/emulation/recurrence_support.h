#pragma once

#include <catch2/catch.hpp>

#include "tests/emulation/emulation_support.h"
#include "tests/kernels/recurrence.h"

namespace krait::test {

/// A recurrence on the emulated GPU, in every order of threads, and on the portable CPU kernels: two steps of a batch
/// with sequences of `lengths` tokens, between them an empty one and padding. Outputs and states agree within the
/// tolerance, and what the CPU leaves alone stays as it was.
inline void check_recurrence(MakeRecurrence make, std::uint32_t seed, DType dtype, const std::vector<int>& lengths,
                             double tolerance) {
  Machine cpu("portable", 1);
  const auto gpu = make_emulated_platform();
  const auto queue = gpu->create_queue();
  Random random(seed);
  const auto recurrence = make(random);
  CAPTURE(seed, recurrence->label(), dtype_name(dtype), lengths);
  Sequences first, second;
  int slot = 1;
  for (const int length : lengths) {
    first.add(length, slot, slot, false);
    first.add(0, slot, slot + 1, true);
    first.add(2, 0, 0, slot % 2 == 0);
    second.add(1 + length / 3, slot, slot + slot % 2, true);
    slot += 2;
  }
  const Tokens in = recurrence->tokens(random, first.query_start_loc.back());
  const Tokens more = recurrence->tokens(random, second.query_start_loc.back());
  const auto run = [&](Operations& ops) {
    StateSlots slots = recurrence->slots(slot + 1, dtype);
    std::vector<float> result = recurrence->run(ops, in, first, slots.view).data;
    const Matrix out = recurrence->run(ops, more, second, slots.view);
    result.insert(result.end(), out.data.begin(), out.data.end());
    slots.append_to(result);
    return result;
  };
  const std::vector<float> expected = run(cpu.ops());
  recurrence->pack_with(
      [&](const WeightSource& source, const PackScheme& scheme) { return gpu->pack(source, scheme, {}); });
  in_every_order([&] {
    const std::vector<float> result = run(queue->ops());
    queue->wait();
    CHECK(worst_error(result, {expected.begin(), expected.end()}) <= tolerance);
  });
}

}  // namespace krait::test
