#include "engine/cache/memory_populator.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <vector>

#include "engine/cache/cache_pools.h"
#include "engine/cache/prefix_index.h"
#include "engine/scheduler/request_cache.h"
#include "kernels/cpu/cpu_platform.h"
#include "tests/engine/fakes/fake_platform.h"

using krait::CacheLayout;
using krait::CachePools;
using krait::CpuPlatform;
using krait::ItemPool;
using krait::MemoryBudget;
using krait::MemoryPopulator;
using krait::RequestCache;
using krait::test::FakePlatform;
using krait::test::FakeReservedMemory;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20U;
constexpr std::size_t kPlenty = std::size_t{1} << 40U;

FakePlatform& able(FakePlatform& platform) {
  platform.populates = true;
  platform.available = kPlenty;
  return platform;
}

/// From the first populated byte to the last, which must follow each other without gaps.
std::pair<std::size_t, std::size_t> extent(FakeReservedMemory& memory) {
  const std::lock_guard lock(memory.mutex);
  REQUIRE_FALSE(memory.populated.empty());
  for (std::size_t i = 1; i < memory.populated.size(); ++i) {
    CHECK(memory.populated[i].first == memory.populated[i - 1].second);
  }
  return {memory.populated.front().first, memory.populated.back().second};
}

}  // namespace

TEST_CASE("what is handed out next is populated ahead of use, and follows it", "[cache]") {
  FakePlatform platform;
  MemoryBudget budget(1600 * kMiB);
  ItemPool pool(able(platform), budget, kMiB);
  FakeReservedMemory& memory = *platform.last_reserved;
  MemoryPopulator populator(platform, false);
  pool.populate_ahead(populator, 10 * kMiB);
  populator.start();
  populator.wait_idle();
  CHECK(extent(memory) == std::pair(kMiB, 11 * kMiB));
  for (int i = 0; i < 3; ++i) REQUIRE(pool.allocate());
  populator.wait_idle();
  CHECK(extent(memory) == std::pair(kMiB, 14 * kMiB));
  // A freed item is used again: nothing new is needed.
  pool.release(2);
  CHECK(pool.allocate() == 2);
  populator.wait_idle();
  CHECK(extent(memory).second == 14 * kMiB);
}

TEST_CASE("no more is populated than free items may keep, the budget has left and the pool can hold", "[cache]") {
  FakePlatform platform;
  MemoryBudget budget(160 * kMiB);
  ItemPool pool(able(platform), budget, kMiB);
  FakeReservedMemory& memory = *platform.last_reserved;
  MemoryPopulator populator(platform, false);
  pool.populate_ahead(populator, 1000 * kMiB);
  populator.start();
  populator.wait_idle();
  CHECK(extent(memory).second == 11 * kMiB);
  REQUIRE(budget.take(155 * kMiB));
  REQUIRE(pool.allocate());
  populator.wait_idle();
  CHECK(extent(memory).second == 11 * kMiB);
  while (pool.allocate()) {
  }
  populator.wait_idle();
  CHECK(extent(memory).second == 11 * kMiB);
}

TEST_CASE("while the engine computes, only what the first request needs is populated, unless cores are left over",
          "[cache]") {
  const bool spare_cores = GENERATE(false, true);
  FakePlatform platform;
  MemoryBudget budget(1600 * kMiB);
  ItemPool pool(able(platform), budget, 2 * kMiB);
  FakeReservedMemory& memory = *platform.last_reserved;
  MemoryPopulator populator(platform, spare_cores);
  populator.set_computing(true);
  pool.populate_ahead(populator, 40 * kMiB);
  populator.start();
  populator.wait_idle();
  CHECK(extent(memory).second == (spare_cores ? 42 : 10) * kMiB);
  populator.set_computing(false);
  populator.wait_idle();
  CHECK(extent(memory).second == 42 * kMiB);
}

TEST_CASE("pools with cached prefixes end while a thread populates", "[cache]") {
  CpuPlatform platform({.threads = 1});
  for (int i = 0; i < 20; ++i) {
    CachePools pools(platform,
                     {.block_size = 1,
                      .kv_groups = {{.name = "kv", .page_bytes = kMiB, .sliding_window = 0}},
                      .slot_bytes = 8 * kMiB},
                     400 * kMiB);
    pools.enable_prefix_index();
    pools.populate_ahead(platform, true);
    RequestCache cache;
    const std::vector<std::int32_t> history{1, 2, 3};
    static_cast<void>(cache.start(pools, "", history));
    REQUIRE(cache.grow(pools, 3) == 3);
    REQUIRE(cache.secure_state(pools));
    cache.advance(pools, history, 3);
    cache.snapshot_state(pools, 3);
    cache.release(pools);
    REQUIRE(pools.slots()->idle() == 1);
  }
}

TEST_CASE("memory that the machine has not got is not touched", "[cache]") {
  FakePlatform platform;
  MemoryBudget budget(1600 * kMiB);
  ItemPool pool(able(platform), budget, kMiB);
  FakeReservedMemory& memory = *platform.last_reserved;
  platform.available = 100 * kMiB;
  MemoryPopulator populator(platform, false);
  pool.populate_ahead(populator, 10 * kMiB);
  populator.start();
  populator.wait_idle();
  CHECK(memory.populated.empty());
  // It asks again when more is handed out.
  platform.available = kPlenty;
  REQUIRE(pool.allocate());
  populator.wait_idle();
  CHECK(extent(memory) == std::pair(2 * kMiB, 12 * kMiB));
}

TEST_CASE("what went back to the system is populated again before it is used again", "[cache]") {
  FakePlatform platform;
  MemoryBudget budget(160 * kMiB);
  ItemPool pool(able(platform), budget, kMiB);
  FakeReservedMemory& memory = *platform.last_reserved;
  MemoryPopulator populator(platform, false);
  pool.populate_ahead(populator, 10 * kMiB);
  populator.start();
  for (int i = 0; i < 60; ++i) REQUIRE(pool.allocate());
  populator.wait_idle();
  const std::size_t before = memory.committed();
  for (int i = 1; i <= 60; ++i) pool.release(i);
  CHECK(memory.committed() < before / 2);
  populator.wait_idle();
  {
    const std::lock_guard lock(memory.mutex);
    memory.populated.clear();
  }
  for (int i = 0; i < 30; ++i) REQUIRE(pool.allocate());
  populator.wait_idle();
  REQUIRE_FALSE(memory.populated.empty());
  CHECK(memory.populated.back().second == 41 * kMiB);
}

TEST_CASE("pools of a platform that backs memory when it commits it are left alone", "[cache]") {
  FakePlatform platform;
  platform.available = kPlenty;
  CachePools pools(platform,
                   {.block_size = 16,
                    .kv_groups = {{.name = "kv", .page_bytes = kMiB, .sliding_window = 0}},
                    .slot_bytes = 4 * kMiB},
                   1600 * kMiB);
  const std::size_t before = platform.last_reserved->committed();
  pools.populate_ahead(platform, true);
  REQUIRE(pools.slots()->allocate());
  CHECK(platform.last_reserved->committed() <= before + 8 * kMiB);
  CHECK(platform.last_reserved->populated.empty());
}

TEST_CASE("items keep their content while another thread populates", "[cache]") {
  CpuPlatform platform({.threads = 1});
  constexpr std::size_t kItem = 300000;
  CachePools pools(platform,
                   {.block_size = 16,
                    .kv_groups = {{.name = "kv", .page_bytes = kItem, .sliding_window = 0}},
                    .slot_bytes = 3 * kItem},
                   std::size_t{64} << 20U);
  pools.populate_ahead(platform, true);
  std::mt19937 random(7);
  for (ItemPool* pool : {&pools.pages(0), pools.slots()}) {
    std::vector<std::int32_t> held;
    const auto intact = [&](std::int32_t item) {
      const std::byte* data = pool->host_data(item);
      const auto mark = static_cast<std::byte>(item);
      return data[0] == mark && data[kItem / 2] == mark && data[kItem - 1] == mark;
    };
    // Rises and falls, so that memory is committed, populated, discarded and shrunk in turn.
    for (int step = 0; step < 3000; ++step) {
      const bool rising = step / 300 % 2 == 0;
      if (held.empty() || random() % 10 < (rising ? 8U : 2U)) {
        const auto item = pool->allocate();
        if (!item) continue;
        std::memset(pool->host_data(*item), *item & 0xFF, kItem);
        held.push_back(*item);
      } else {
        const std::size_t at = random() % held.size();
        REQUIRE(intact(held[at]));
        pool->release(held[at]);
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    for (const std::int32_t item : held) {
      REQUIRE(intact(item));
      pool->release(item);
    }
  }
}
