#include "engine/runner/shared_item_guard.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>

#include "engine/cache/cache_pools.h"
#include "engine/runner/step_plan.h"
#include "kernels/cpu/cpu_platform.h"

using namespace krait;

namespace {

constexpr std::size_t kItem = 16384;

/// Whether a process may write there.
bool writable(std::byte* at) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);
    *static_cast<volatile std::byte*>(at) = std::byte{1};
    std::_Exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("what others may read cannot be written while it is guarded", "[guard]") {
  CpuPlatform platform(CpuOptions{});
  CacheLayout layout;
  layout.kv_groups = {{.name = "kv", .page_bytes = kItem, .sliding_window = 0}};
  layout.slot_bytes = kItem;
  CachePools pools(platform, layout, 100 * kItem);
  ItemPool& pages = pools.pages(0);
  ItemPool& slots = *pools.slots();
  for (int i = 0; i < 3; ++i) REQUIRE(pages.allocate());
  for (int i = 0; i < 2; ++i) REQUIRE(slots.allocate());
  pages.retain(2);
  slots.list(1);

  const std::array<std::vector<std::int32_t>, 1> tables{{{0, 1, 2, 3}}};
  StepPlan plan;
  plan.requests.push_back({.key = 1,
                           .tokens = {7},
                           .num_computed = 60,
                           .is_decode = true,
                           .state_read = 1,
                           .state_write = 2,
                           .pages = tables,
                           .sample = std::nullopt});
  {
    const SharedItemGuard guard(pools, plan);
    CHECK(writable(pages.host_data(1)));
    CHECK_FALSE(writable(pages.host_data(2)));
    CHECK_FALSE(writable(pages.host_data(3) - 1));
    CHECK(writable(pages.host_data(3)));
    CHECK_FALSE(writable(slots.host_data(1)));
    CHECK(writable(slots.host_data(2)));
  }
  CHECK(writable(pages.host_data(2)));
  CHECK(writable(slots.host_data(1)));
}
