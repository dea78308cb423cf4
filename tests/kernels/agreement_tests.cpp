#include <catch2/catch.hpp>

#include "tests/kernels/scenarios.h"

namespace krait {

TEST_CASE("Every instruction set and every number of threads gives the same bits") {
  for (const test::Scenario& scenario : test::scenarios()) {
    for (std::uint32_t seed = 1; seed <= 4; ++seed) {
      std::vector<float> expected;
      for (const auto& machine : test::machines()) {
        CAPTURE(scenario.name, seed, machine->label);
        const test::Bench bench{machine->ops(), [&](const WeightSource& source, const PackScheme& scheme) {
                                  return machine->platform.pack(source, scheme, {});
                                }};
        const std::vector<float> result = scenario.run(bench, seed);
        if (expected.empty()) expected = result;
        CHECK(test::same_bits(result, expected));
      }
    }
  }
}

}  // namespace krait
