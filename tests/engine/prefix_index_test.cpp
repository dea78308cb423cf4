#include "engine/cache/prefix_index.h"

#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <random>

#include "engine/cache/cache_pools.h"
#include "tests/engine/fakes/fake_platform.h"

using namespace krait;
using krait::test::FakePlatform;

namespace {

constexpr int kBlock = 4;
constexpr std::size_t kPageBytes = 100;
constexpr std::size_t kSlotBytes = 1000;
using Tokens = std::vector<std::int32_t>;

CacheLayout layout_of(std::vector<int> windows, bool has_state) {
  CacheLayout layout{.block_size = kBlock, .kv_groups = {}, .slot_bytes = has_state ? kSlotBytes : 0};
  for (const int window : windows) {
    layout.kv_groups.push_back({.name = "kv", .page_bytes = kPageBytes, .sliding_window = window});
  }
  return layout;
}

/// What one item holds: a prefix of a salt, by value.
struct Content {
  std::string salt;
  Tokens prefix;
  bool operator==(const Content&) const = default;
};

/// Pools, an index, and requests that really own what they compute; knows what every item holds.
class Bench {
 public:
  Bench(const std::vector<int>& windows, bool has_state, std::size_t budget, std::size_t max_nodes = 1000)
      : pools(platform, layout_of(windows, has_state), budget), index(pools, max_nodes), pages_(windows.size()) {}

  struct Request {
    std::string salt;
    Tokens tokens;
    PrefixMatch match;
    std::vector<std::vector<std::int32_t>> pages;
    std::int32_t slot = 0;
    int computed = 0;
    int listed = 0;
  };

  Request start(const std::string& salt, Tokens tokens) {
    Request request{.salt = salt, .tokens = std::move(tokens), .match = {}, .pages = {}};
    request.match = index.match(salt, request.tokens);
    check(request);
    request.pages = request.match.pages;
    request.slot = request.match.snapshot;
    request.computed = request.match.computed_tokens;
    request.listed = request.match.page_tokens;
    return request;
  }

  /// Computes one more token; false when there is no memory.
  bool compute(Request& request, bool snapshot) {
    const int end = request.computed + 1;
    for (std::size_t group = 0; group < request.pages.size(); ++group) {
      if (static_cast<int>(request.pages[group].size()) * kBlock >= end) continue;
      const auto page = allocate(pools.pages(group));
      if (!page) return false;
      request.pages[group].push_back(*page);
    }
    // The state moves to a slot of its own when others may read the one at hand.
    if (pools.slots() != nullptr && !owns_slot(request)) {
      const auto slot = allocate(*pools.slots());
      if (!slot) return false;
      if (request.slot != 0) pools.slots()->release(request.slot);
      request.slot = *slot;
    }
    request.computed = end;
    const Content content{request.salt, {request.tokens.begin(), request.tokens.begin() + end}};
    if (request.slot != 0) slots_[request.slot] = content;
    if (end % kBlock != 0) return true;
    if (end > request.listed) list_block(request, content);
    if (snapshot) index.add_state(request.match.cursor, end, request.slot);
    return true;
  }

  void list_block(Request& request, const Content& content) {
    const int end = request.computed;
    std::vector<std::int32_t> pages;
    for (std::size_t group = 0; group < request.pages.size(); ++group) {
      pages.push_back(request.pages[group].back());
      pages_[group][pages.back()] = content;
    }
    index.extend(request.match.cursor,
                 std::span(request.tokens).subspan(static_cast<std::size_t>(end - kBlock), kBlock), pages);
    for (std::size_t group = 0; group < pages.size(); ++group) request.pages[group].back() = pages[group];
    request.listed = end;
  }

  void finish(Request& request) {
    for (std::size_t group = 0; group < request.pages.size(); ++group) {
      for (const std::int32_t page : request.pages[group]) {
        if (page != 0) pools.pages(group).release(page);
      }
    }
    if (request.slot != 0) pools.slots()->release(request.slot);
    index.close(request.match.cursor);
  }

  /// Runs a request from its match to its end.
  PrefixMatch run(const std::string& salt, const Tokens& tokens, bool snapshots = true) {
    Request request = start(salt, tokens);
    const PrefixMatch match = request.match;
    while (request.computed < static_cast<int>(tokens.size())) REQUIRE(compute(request, snapshots));
    finish(request);
    return match;
  }

  FakePlatform platform;
  CachePools pools;
  PrefixIndex index;

 private:
  [[nodiscard]] bool owns_slot(const Request& request) {
    return request.slot != 0 && pools.slots()->is_exclusive(request.slot);
  }

  std::optional<std::int32_t> allocate(ItemPool& pool) {
    if (!index.make_room(pool.item_bytes())) return std::nullopt;
    return pool.allocate();
  }

  /// Everything that a match gives holds exactly what it says.
  void check(const Request& request) {
    const PrefixMatch& match = request.match;
    REQUIRE(match.computed_tokens < static_cast<int>(request.tokens.size()));
    REQUIRE(match.page_tokens % kBlock == 0);
    REQUIRE(match.page_tokens <= match.path_tokens);
    const auto prefix = [&](int tokens) {
      return Content{request.salt, {request.tokens.begin(), request.tokens.begin() + tokens}};
    };
    if (pools.slots() != nullptr) {
      REQUIRE((match.snapshot != 0) == (match.computed_tokens > 0));
      if (match.snapshot != 0) REQUIRE(slots_.at(match.snapshot) == prefix(match.computed_tokens));
    }
    for (std::size_t group = 0; group < match.pages.size(); ++group) {
      REQUIRE(static_cast<int>(match.pages[group].size()) * kBlock == match.page_tokens);
      const int window = pools.layout().kv_groups[group].sliding_window;
      for (int block = 0; block < match.page_tokens / kBlock; ++block) {
        const std::int32_t page = match.pages[group][static_cast<std::size_t>(block)];
        const int end = (block + 1) * kBlock;
        if (page != 0) REQUIRE(pages_[group].at(page) == prefix(end));
        const bool needed = window == 0 || end > match.computed_tokens - window + 1;
        REQUIRE((page != 0 || !needed));
      }
    }
  }

  std::vector<std::map<std::int32_t, Content>> pages_;
  std::map<std::int32_t, Content> slots_;
};

Tokens count_to(int n) {
  Tokens tokens;
  for (int i = 0; i < n; ++i) tokens.push_back(i);
  return tokens;
}

}  // namespace

TEST_CASE("attention alone: the longest prefix of whole blocks is found, and one token is left to compute",
          "[prefix]") {
  Bench bench({0}, false, 1 << 20);
  CHECK(bench.run("", count_to(11)).computed_tokens == 0);
  const PrefixMatch longer = bench.run("", count_to(30));
  CHECK(longer.computed_tokens == 8);
  CHECK(longer.page_tokens == 8);
  const PrefixMatch whole = bench.run("", count_to(8));
  CHECK(whole.computed_tokens == 7);
  CHECK(whole.page_tokens == 8);
  CHECK(bench.run("other", count_to(8)).path_tokens == 0);
}

TEST_CASE("with recurrent state a hit needs a snapshot, and pages beyond it are read but not written", "[prefix]") {
  Bench bench({0}, true, 1 << 20);
  bench.run("", count_to(21), false);
  const PrefixMatch pages_only = bench.run("", count_to(21), true);
  CHECK(pages_only.computed_tokens == 0);
  CHECK(pages_only.page_tokens == 20);
  CHECK(bench.run("", count_to(21)).computed_tokens == 20);
  const PrefixMatch at_the_end = bench.run("", count_to(20));
  CHECK(at_the_end.computed_tokens == 16);
  CHECK(at_the_end.page_tokens == 20);
}

TEST_CASE("a model of recurrent layers alone needs no pages for a hit", "[prefix]") {
  Bench bench({}, true, 1 << 20);
  bench.run("", count_to(9));
  CHECK(bench.run("", count_to(40)).computed_tokens == 8);
}

TEST_CASE("a window group needs the pages of its window only", "[prefix]") {
  Bench bench({0, 6}, false, 1 << 20);
  bench.run("", count_to(40));
  auto request = bench.start("", count_to(41));
  CHECK(request.computed == 40);
  // Position 40 sees 35 … 40: the first page is that of tokens 32 to 35.
  CHECK(request.match.pages[1][7] == 0);
  CHECK(request.match.pages[1][8] != 0);
  bench.finish(request);
}

TEST_CASE("two requests that compute the same at one time end with the same pages", "[prefix]") {
  Bench bench({0}, false, 1 << 20);
  auto a = bench.start("", count_to(9));
  auto b = bench.start("", count_to(9));
  for (int i = 0; i < 9; ++i) {
    REQUIRE(bench.compute(a, false));
    REQUIRE(bench.compute(b, false));
  }
  CHECK(a.pages[0][0] == b.pages[0][0]);
  CHECK(a.pages[0][1] == b.pages[0][1]);
  CHECK(a.pages[0][2] != b.pages[0][2]);
  CHECK(bench.pools.pages(0).used() == 4);
  bench.finish(a);
  bench.finish(b);
}

TEST_CASE("snapshots that save much outlive those that save little, and the pages of the used path stay", "[prefix]") {
  // Room for about three snapshots beside the pages.
  Bench bench({0}, true, 3 * kSlotBytes + 40 * kPageBytes);
  Tokens far = count_to(60);
  auto request = bench.start("", far);
  while (request.computed < 60) REQUIRE(bench.compute(request, request.computed + 1 == 48));
  bench.finish(request);
  for (int i = 0; i < 6; ++i) {
    Tokens near(9, 100 + i);
    bench.run("", near);
  }
  CHECK(bench.run("", far, false).computed_tokens == 48);
  CHECK(bench.index.stats().evicted_snapshots > 0);
}

TEST_CASE("a full index forgets its oldest leaf, and a tree in use is left as it is", "[prefix]") {
  Bench bench({0}, false, 1 << 20, 4);
  auto held = bench.start("", count_to(17));
  for (int i = 0; i < 17; ++i) REQUIRE(bench.compute(held, false));
  CHECK(bench.run("", Tokens(9, 7)).computed_tokens == 0);
  CHECK(bench.run("", Tokens(9, 7)).computed_tokens == 0);
  bench.finish(held);
  CHECK(bench.run("", count_to(17)).computed_tokens == 16);
  CHECK(bench.index.stats().nodes == 4);
}

TEST_CASE("a random adversary never reads an item that holds something else", "[prefix][random]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  const std::vector<std::vector<int>> groups{{0}, {0, 5}, {9}, {}, {0, 0}};
  std::int64_t hits = 0;
  std::int64_t evictions = 0;
  for (int round = 0; round < 60; ++round) {
    const auto& windows = groups[static_cast<std::size_t>(round) % groups.size()];
    const bool has_state = windows.empty() || pick(0, 3) > 0;
    Bench bench(windows, has_state, static_cast<std::size_t>(pick(4, 30)) * kSlotBytes,
                static_cast<std::size_t>(pick(5, 60)));
    std::vector<Bench::Request> live;
    for (int step = 0; step < 1500; ++step) {
      const int action = pick(0, 99);
      if (action < 12 && live.size() < 4) {
        Tokens tokens;
        for (int i = pick(1, 40); i > 0; --i) tokens.push_back(pick(0, 9) == 0 ? 1 : 0);
        live.push_back(bench.start(pick(0, 3) == 0 ? "salt" : "", std::move(tokens)));
        hits += live.back().computed > 0 ? 1 : 0;
      } else if (action < 15) {
        bench.index.clear();
      } else if (!live.empty()) {
        const auto at = static_cast<std::size_t>(pick(0, static_cast<int>(live.size()) - 1));
        Bench::Request& request = live[at];
        const bool done = request.computed == static_cast<int>(request.tokens.size());
        if (done || action > 95 || !bench.compute(request, pick(0, 2) == 0)) {
          bench.finish(request);
          live.erase(live.begin() + static_cast<std::ptrdiff_t>(at));
        }
      }
      REQUIRE(bench.pools.budget().used() <= bench.pools.budget().total());
    }
    for (Bench::Request& request : live) bench.finish(request);
    REQUIRE(bench.pools.budget().used() == bench.pools.idle_bytes());
    evictions += bench.index.stats().evicted_blocks + bench.index.stats().evicted_snapshots;
    bench.index.clear();
    REQUIRE(bench.pools.budget().used() == 0);
    REQUIRE(bench.index.stats().nodes == 0);
  }
  CHECK(hits > 200);
  CHECK(evictions > 200);
}
