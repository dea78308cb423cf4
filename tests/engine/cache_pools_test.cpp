#include "engine/cache/cache_pools.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "tests/engine/fakes/fake_platform.h"

using krait::CacheLayout;
using krait::CachePools;
using krait::ItemPool;
using krait::MemoryBudget;
using krait::test::FakePlatform;

namespace {

CacheLayout layout_of(std::size_t page_bytes, std::size_t slot_bytes) {
  return {.block_size = 16,
          .kv_groups = {{.name = "kv", .page_bytes = page_bytes, .sliding_window = 0}},
          .slot_bytes = slot_bytes};
}

}  // namespace

TEST_CASE("a memory budget refuses what does not fit and takes back what was given", "[cache]") {
  MemoryBudget budget(100);
  CHECK(budget.take(60));
  CHECK_FALSE(budget.take(41));
  CHECK(budget.take(40));
  budget.give_back(60);
  CHECK(budget.used() == 40);
}

TEST_CASE("a pool hands out items from 1 on, the lowest free one first, until the budget is spent", "[cache]") {
  FakePlatform platform;
  MemoryBudget budget(300);
  ItemPool pool(platform, budget, 100);
  CHECK(pool.allocate() == 1);
  CHECK(pool.allocate() == 2);
  CHECK(pool.allocate() == 3);
  CHECK(pool.allocate() == std::nullopt);
  pool.release(3);
  pool.release(1);
  CHECK(budget.used() == 100);
  CHECK(pool.used() == 1);
  CHECK(pool.allocate() == 1);
  CHECK(pool.allocate() == 3);
}

TEST_CASE("pages and slots share one budget elastically, and the null items cost nothing", "[cache]") {
  FakePlatform platform;
  CachePools pools(platform, layout_of(10, 40), 100);
  CHECK(pools.budget().used() == 0);
  for (int i = 0; i < 10; ++i) REQUIRE(pools.pages(0).allocate());
  CHECK_FALSE(pools.slots()->allocate());
  for (int i = 1; i <= 4; ++i) pools.pages(0).release(i);
  CHECK(pools.slots()->allocate() == 1);
  CHECK(pools.budget().used() == 100);
}

TEST_CASE("memory is committed as the highest item in use grows and given back when it falls", "[cache]") {
  constexpr std::size_t kItem = std::size_t{1} << 20U;
  FakePlatform platform;
  MemoryBudget budget(100 * kItem);
  ItemPool pool(platform, budget, kItem);
  const auto& memory = *platform.last_reserved;
  CHECK(memory.capacity() == 101 * kItem);
  CHECK(memory.committed() < 10 * kItem);
  const std::byte* base = pool.base();
  for (int i = 0; i < 60; ++i) REQUIRE(pool.allocate());
  CHECK(memory.committed() >= 61 * kItem);
  CHECK(memory.committed() < 70 * kItem);
  for (int i = 5; i <= 60; ++i) pool.release(i);
  CHECK(memory.committed() >= 5 * kItem);
  CHECK(memory.committed() < 20 * kItem);
  CHECK(pool.base() == base);
  CHECK(pool.allocate() == 5);
}

TEST_CASE("a machine without memory left refuses an item and leaves the budget as it was", "[cache]") {
  FakePlatform platform;
  platform.commit_limit = 250;
  MemoryBudget budget(1000);
  ItemPool pool(platform, budget, 100);
  CHECK(pool.allocate() == 1);
  CHECK_FALSE(pool.allocate());
  CHECK(budget.used() == 100);
  platform.commit_limit = 10000;
  CHECK(pool.allocate() == 2);
}

TEST_CASE("a pool whose null item has no memory cannot be made", "[cache]") {
  FakePlatform platform;
  platform.commit_limit = 10;
  MemoryBudget budget(1000);
  CHECK_THROWS_AS(ItemPool(platform, budget, 100), std::bad_alloc);
}

#ifndef NDEBUG
TEST_CASE("a freed item is full of NaNs in debug builds", "[cache]") {
  FakePlatform platform;
  MemoryBudget budget(1000);
  ItemPool pool(platform, budget, sizeof(float));
  REQUIRE(pool.allocate());
  REQUIRE(pool.allocate());
  pool.release(1);
  float value = 0.0F;
  std::memcpy(&value, pool.base() + sizeof(float), sizeof(float));
  CHECK(value != value);
  std::memcpy(&value, pool.base() + 2 * sizeof(float), sizeof(float));
  CHECK(value == 0.0F);
}
#endif

TEST_CASE("bytes_for counts whole pages in every group and one slot", "[cache]") {
  FakePlatform platform;
  CacheLayout layout = layout_of(10, 40);
  layout.kv_groups.push_back({.name = "window", .page_bytes = 3, .sliding_window = 8});
  const CachePools pools(platform, layout, 1000);
  CHECK(pools.bytes_for(1) == 53);
  CHECK(pools.bytes_for(16) == 53);
  CHECK(pools.bytes_for(17) == 66);
}

TEST_CASE("a model without state has no slots, one without attention no pages", "[cache]") {
  FakePlatform platform;
  CachePools attention(platform, layout_of(10, 0), 100);
  CHECK(attention.slots() == nullptr);
  CHECK(attention.bytes_for(16) == 10);
  const CachePools mamba(platform, {.block_size = 16, .kv_groups = {}, .slot_bytes = 40}, 100);
  CHECK(mamba.bytes_for(100000) == 40);
}

TEST_CASE("free items below the highest one give their memory back, all but a sixteenth of the budget", "[cache]") {
  constexpr std::size_t kItem = std::size_t{1} << 20U;
  FakePlatform platform;
  MemoryBudget budget(128 * kItem);
  ItemPool pool(platform, budget, kItem);
  std::vector<std::int32_t> items;
  for (int i = 0; i < 128; ++i) items.push_back(pool.allocate().value());
  for (std::size_t i = 0; i + 1 < items.size(); ++i) pool.release(items[i]);
  CHECK(platform.last_reserved->committed() > 100 * kItem);
  CHECK(platform.last_reserved->discarded == (127 - 8) * kItem);
  // They can be had again, and what is used again counts no more as given back.
  for (int i = 0; i < 20; ++i) items[static_cast<std::size_t>(i)] = pool.allocate().value();
  for (int i = 0; i < 20; ++i) pool.release(items[static_cast<std::size_t>(i)]);
  CHECK(platform.last_reserved->discarded == (127 - 8 + 20 - 8) * kItem);
  pool.release(items.back());
  CHECK(budget.used() == 0);
  CHECK(platform.last_reserved->committed() < 16 * kItem);
}
