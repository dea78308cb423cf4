#include <cinttypes>
#include <cstdio>

#include "bench/cache_bars/bar.h"
#include "tests/engine/fakes/long_life.h"

namespace krait::bench {

/// The value is the number of broken promises; the tests live the same life for fewer steps.
BarResult random_steps() {
  constexpr std::int64_t kSteps = 20000;
  const test::LongLife::Report report = test::LongLife(20261).run(kSteps);
  for (const std::string& violation : report.violations) std::fprintf(stderr, "random_steps: %s\n", violation.c_str());
  std::fprintf(stderr,
               "random_steps: %" PRId64 " steps, %" PRId64 " requests: %" PRId64 " answered, %" PRId64
               " aborted, %" PRId64 " past their deadline; %" PRId64 " preemptions, %" PRId64 " tokens hit, %" PRId64
               " evictions, %" PRId64 " sessions restored; the longest life was %" PRId64 " steps\n",
               report.steps, report.requests, report.finished, report.aborted, report.failed, report.preemptions,
               report.hit_tokens, report.evictions, report.sessions, report.longest_life);
  const bool lived = report.steps >= kSteps && report.preemptions > 0 && report.evictions > 0;
  BarResult result = at_most(static_cast<double>(report.violations.size()), 0);
  result.pass = result.pass && lived;
  return result;
}

}  // namespace krait::bench
