#include <catch2/catch.hpp>
#include <random>
#include <stdexcept>

#include "models/backends/chunk_metadata.h"

using namespace krait;
using Ints = std::vector<std::int32_t>;

namespace {

/// Token by token, as one would do it by hand: a token opens a chunk when it is the first of its sequence in the batch
/// or stands at a multiple of the chunk size.
VarlenChunkMetadata slow_reference(const Ints& lengths, const Ints& computed, int chunk_size) {
  VarlenChunkMetadata chunks;
  std::int32_t token = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    for (std::int32_t t = 0; t < lengths[i]; ++t, ++token) {
      if (t == 0 || (computed[i] + t) % chunk_size == 0) {
        chunks.cu_chunk_seqlen.push_back(token);
        chunks.seq_idx.push_back(static_cast<std::int32_t>(i));
      }
    }
    chunks.last_chunk_indices.push_back(lengths[i] == 0 ? -1 : static_cast<std::int32_t>(chunks.seq_idx.size()) - 1);
  }
  chunks.cu_chunk_seqlen.push_back(token);
  return chunks;
}

Ints starts_of(const Ints& lengths) {
  Ints starts{0};
  for (const std::int32_t length : lengths) starts.push_back(starts.back() + length);
  return starts;
}

}  // namespace

TEST_CASE("the design's example of chunk metadata") {
  const auto two = compute_varlen_chunk_metadata(Ints{0, 10, 15}, 8, Ints{0, 6});
  CHECK(two.cu_chunk_seqlen == Ints{0, 8, 10, 12, 15});
  CHECK(two.seq_idx == Ints{0, 0, 1, 1});
  CHECK(two.last_chunk_indices == Ints{1, 3});
  const auto three = compute_varlen_chunk_metadata(Ints{0, 10, 15, 15}, 8, Ints{0, 6, 3});
  CHECK(three.cu_chunk_seqlen == Ints{0, 8, 10, 12, 15});
  CHECK(three.last_chunk_indices == Ints{1, 3, -1});
}

TEST_CASE("without computed tokens every sequence starts a chunk of its own") {
  const auto chunks = compute_varlen_chunk_metadata(Ints{0, 3, 20}, 8);
  CHECK(chunks.cu_chunk_seqlen == Ints{0, 3, 11, 19, 20});
  CHECK(chunks.last_chunk_indices == Ints{0, 3});
}

TEST_CASE("an empty batch, and empty sequences first and in the middle") {
  CHECK(compute_varlen_chunk_metadata(Ints{0}, 8).cu_chunk_seqlen == Ints{0});
  const auto chunks = compute_varlen_chunk_metadata(Ints{0, 0, 1, 1, 2}, 4, Ints{5, 3, 2, 4});
  CHECK(chunks.cu_chunk_seqlen == Ints{0, 1, 2});
  CHECK(chunks.seq_idx == Ints{1, 3});
  CHECK(chunks.last_chunk_indices == Ints{-1, 0, -1, 1});
}

TEST_CASE("wrong use of chunk metadata is refused") {
  CHECK_THROWS_AS(compute_varlen_chunk_metadata(Ints{0, 4}, 0), std::invalid_argument);
  CHECK_THROWS_AS(compute_varlen_chunk_metadata(Ints{1, 4}, 8), std::invalid_argument);
  CHECK_THROWS_AS(compute_varlen_chunk_metadata(Ints{0, 4, 2}, 8), std::invalid_argument);
  CHECK_THROWS_AS(compute_varlen_chunk_metadata(Ints{0, 4}, 8, Ints{1, 2}), std::invalid_argument);
  CHECK_THROWS_AS(compute_varlen_chunk_metadata(Ints{0, 4}, 8, Ints{-1}), std::invalid_argument);
  CHECK_THROWS_AS(compute_varlen_chunk_metadata(Ints{}, 8), std::invalid_argument);
}

TEST_CASE("500 random layouts agree with the token by token reference") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 generator(seed);
  const auto uniform = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator); };
  for (int round = 0; round < 500; ++round) {
    const int chunk_size = uniform(1, 40);
    Ints lengths;
    Ints computed;
    for (int i = uniform(0, 12); i > 0; --i) {
      lengths.push_back(uniform(0, 3) == 0 ? 0 : uniform(1, 120));
      computed.push_back(uniform(0, 2) == 0 ? 0 : uniform(0, 200));
    }
    CAPTURE(round, chunk_size, lengths, computed);
    const auto chunks = compute_varlen_chunk_metadata(starts_of(lengths), chunk_size, computed);
    const auto expected = slow_reference(lengths, computed, chunk_size);
    REQUIRE(chunks.cu_chunk_seqlen == expected.cu_chunk_seqlen);
    REQUIRE(chunks.seq_idx == expected.seq_idx);
    REQUIRE(chunks.last_chunk_indices == expected.last_chunk_indices);
  }
}
