#pragma once

#include "tests/kernels/kv_support.h"
#include "tests/kernels/recurrence.h"

namespace krait::test {

/// A platform's operations and its way to pack weights, as the scenarios need them.
struct Bench {
  Operations& ops;
  PackWeight pack;
};

/// Something that runs operations on data drawn from a seed; its result must have the same bits on every instruction
/// set and with every number of threads.
struct Scenario {
  const char* name;
  std::vector<float> (*run)(const Bench&, std::uint32_t seed);
};
const std::vector<Scenario>& scenarios();

}  // namespace krait::test
