#include "models/tokenizer/bpe_merge.h"

#include <catch2/catch.hpp>
#include <random>

namespace krait::test {
namespace {

/// The definition, word for word.
void merge_slowly(const MergeTable& merges, std::vector<std::int32_t>& tokens) {
  while (true) {
    std::size_t best = 0;
    MergeResult lowest;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      const MergeResult merge = merges.find(tokens[i], tokens[i + 1]);
      if (merge.rank < lowest.rank) {
        lowest = merge;
        best = i;
      }
    }
    if (lowest.rank == MergeResult::kNoRank) return;
    tokens[best] = lowest.id;
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST_CASE("the leftmost of equal merges goes first") {
  MergeTable merges(1);
  merges.add(0, 0, {.rank = 0, .id = 1});
  std::vector<std::int32_t> tokens = {0, 0, 0};
  merge_tokens(merges, tokens);
  CHECK(tokens == std::vector<std::int32_t>{1, 0});
}

TEST_CASE("short and long pieces are merged as the definition says") {
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 60; ++round) {
    // Tokens 0 to 3 are letters; each merge makes a new token of two that exist.
    MergeTable merges(40);
    for (std::int32_t id = 4; id < 44; ++id) {
      const auto left = static_cast<std::int32_t>(random() % static_cast<unsigned>(id));
      const auto right = static_cast<std::int32_t>(random() % static_cast<unsigned>(id));
      if (merges.find(left, right).rank == MergeResult::kNoRank) {
        merges.add(left, right, {.rank = static_cast<std::uint32_t>(id), .id = id});
      }
    }
    for (const std::size_t length : {0, 1, 2, 31, 32, 33, 200}) {
      std::vector<std::int32_t> fast(length);
      for (auto& token : fast) token = static_cast<std::int32_t>(random() % 4);
      std::vector<std::int32_t> slow = fast;
      merge_tokens(merges, fast);
      merge_slowly(merges, slow);
      CHECK(fast == slow);
    }
  }
}

}  // namespace
}  // namespace krait::test
