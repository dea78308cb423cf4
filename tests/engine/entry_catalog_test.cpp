#include "engine/cache/disk/entry_catalog.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

using namespace krait;

namespace {

EntryKey key(std::uint64_t number) { return {.high = 0, .low = number}; }

}  // namespace

TEST_CASE("the catalog gives up the longest unused first, never an ancestor before what follows it") {
  EntryCatalog catalog;
  REQUIRE(catalog.add(key(1), {}, 4));
  REQUIRE(catalog.add(key(2), key(1), 8));
  REQUIRE(catalog.add(key(3), {}, 2));
  CHECK_FALSE(catalog.add(key(2), key(1), 8));  // is there
  CHECK_FALSE(catalog.add(key(4), key(9), 8));  // its parent is not
  CHECK_FALSE(catalog.add(key(4), key(2), 8));  // no block of its own
  CHECK_FALSE(catalog.add({}, {}, 1));
  CHECK(catalog.find(key(2))->first_block == 4);
  CHECK_FALSE(catalog.oldest_leaf());  // nothing has a file
  for (std::uint64_t k = 1; k <= 3; ++k) catalog.stored(key(k), 10);
  CHECK(catalog.bytes() == 30);
  CHECK(catalog.oldest_leaf() == key(2));
  catalog.touch(key(2));
  CHECK(catalog.oldest_leaf() == key(3));
  catalog.erase(key(3));
  CHECK(catalog.oldest_leaf() == key(2));
  catalog.erase(key(2));
  CHECK(catalog.oldest_leaf() == key(1));
  REQUIRE(catalog.add(key(5), key(1), 9));  // without a file yet: keeps its parent
  CHECK_FALSE(catalog.oldest_leaf());
  CHECK(catalog.erase(key(1)) == std::vector<EntryKey>{key(1), key(5)});
  CHECK(catalog.bytes() == 0);
  CHECK(catalog.size() == 0);
}

TEST_CASE("a catalog of random entries always agrees with a plain list") {
  struct Plain {
    EntryKey parent;
    std::uint64_t bytes = 0;
    std::uint64_t used = 0;
  };
  std::mt19937 generator(3);
  const auto draw = [&](std::uint64_t below) {
    return std::uniform_int_distribution<std::uint64_t>(1, below)(generator);
  };
  EntryCatalog catalog;
  std::map<EntryKey, Plain> plain;
  std::uint64_t clock = 0;
  for (int step = 0; step < 20000; ++step) {
    const EntryKey at = key(draw(40));
    switch (draw(4)) {
      case 1: {
        const EntryKey parent = key(draw(60) - 20 > 40 ? 0 : draw(40));
        const bool can = !plain.contains(at) && (parent == EntryKey{} || plain.contains(parent)) && parent < at;
        if (!(parent < at)) break;
        REQUIRE(catalog.add(at, parent, static_cast<int>(at.low)) == can);
        if (can) plain[at] = {.parent = parent, .used = ++clock};
        break;
      }
      case 2:
        if (!plain.contains(at)) break;
        plain[at].bytes = draw(100);
        catalog.stored(at, plain[at].bytes);
        break;
      case 3:
        ++clock;
        catalog.touch(at);
        for (auto it = plain.find(at); it != plain.end(); it = plain.find(it->second.parent)) it->second.used = clock;
        break;
      default: {
        if (draw(3) > 1) break;
        std::vector<EntryKey> gone = catalog.erase(at);
        std::set<EntryKey> expected;
        if (plain.contains(at)) expected.insert(at);
        for (const auto& [k, entry] : plain) {
          if (expected.contains(entry.parent)) expected.insert(k);  // parents have smaller keys
        }
        REQUIRE(std::set<EntryKey>(gone.begin(), gone.end()) == expected);
        for (const EntryKey& k : expected) plain.erase(k);
      }
    }
    std::uint64_t bytes = 0;
    std::optional<EntryKey> oldest;
    for (const auto& [k, entry] : plain) {
      bytes += entry.bytes;
      const bool leaf = std::ranges::none_of(plain, [&](const auto& other) { return other.second.parent == k; });
      if (entry.bytes > 0 && leaf && (!oldest || std::pair(entry.used, k) < std::pair(plain[*oldest].used, *oldest))) {
        oldest = k;
      }
    }
    REQUIRE(catalog.bytes() == bytes);
    REQUIRE(catalog.size() == plain.size());
    REQUIRE(catalog.oldest_leaf() == oldest);
  }
}
