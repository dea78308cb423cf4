#include <catch2/catch.hpp>
#include <random>

#include "tests/engine/fakes/long_life.h"

using namespace krait;
using namespace krait::test;

TEST_CASE("a long random life of a scheduler loses no request and no memory", "[scheduler][random]") {
  const std::uint64_t seed = std::random_device{}();
  for (std::uint64_t i = 0; i < 3; ++i) {
    INFO("seed " << seed + i);
    const LongLife::Report report = LongLife(seed + i).run(400);
    REQUIRE(report.violations == std::vector<std::string>{});
    // It must have been hard enough to mean something.
    CHECK(report.finished > 50);
    CHECK(report.aborted > 0);
    CHECK(report.preemptions > 0);
    CHECK(report.hit_tokens > 0);
    CHECK(report.evictions > 0);
    CHECK(report.sessions > 0);
  }
}
