#pragma once

#include <functional>

#include "kernels/packed_weight.h"
#include "tests/kernels/kv_support.h"
#include "tests/kernels/state_support.h"

namespace krait::test {

/// A platform's operations and its way to pack weights, as the scenarios need them.
struct Bench {
  Operations& ops;
  std::function<PackedWeight(const WeightSource&, const PackScheme&)> pack;
};

/// Something that runs operations on data drawn from a seed; its result must have the same bits on every instruction
/// set and with every number of threads.
struct Scenario {
  const char* name;
  std::vector<float> (*run)(const Bench&, std::uint32_t seed);
};
const std::vector<Scenario>& scenarios();

}  // namespace krait::test
