#include <catch2/catch.hpp>
#include <random>

#include "tests/engine/fakes/long_life.h"

using namespace krait;
using namespace krait::test;

TEST_CASE("a long random life of a scheduler loses no request and no memory", "[scheduler][random]") {
  const std::uint64_t seed = std::random_device{}();
  LongLife::Report all;
  for (std::uint64_t i = 0; i < 3; ++i) {
    INFO("seed " << seed + i);
    const LongLife::Report report = LongLife(seed + i).run(400);
    REQUIRE(report.violations == std::vector<std::string>{});
    CHECK(report.finished > 50);
    all.aborted += report.aborted;
    all.preemptions += report.preemptions;
    all.hit_tokens += report.hit_tokens;
    all.evictions += report.evictions;
    all.sessions += report.sessions;
  }
  // Together they must have been hard enough to mean something; one of them may be without any one of these.
  INFO("seeds from " << seed);
  CHECK(all.aborted > 0);
  CHECK(all.preemptions > 0);
  CHECK(all.hit_tokens > 0);
  CHECK(all.evictions > 0);
  CHECK(all.sessions > 0);
}
