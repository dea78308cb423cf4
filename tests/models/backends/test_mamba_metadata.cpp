#include <catch2/catch.hpp>
#include <random>

#include "models/backends/attention/attention_metadata.h"
#include "models/backends/mamba2/mamba2_metadata.h"

using namespace krait;
using Ints = std::vector<std::int32_t>;

namespace {

struct Row {
  std::int32_t computed;
  std::int32_t count;
};

BatchLayout layout_of(const std::vector<Row>& decodes, const std::vector<Row>& prefills) {
  BatchLayout batch;
  batch.query_start_loc = {0};
  batch.num_decodes = static_cast<int>(decodes.size());
  batch.num_prefills = static_cast<int>(prefills.size());
  std::vector<Row> rows = decodes;
  rows.insert(rows.end(), prefills.begin(), prefills.end());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    (r < decodes.size() ? batch.num_decode_tokens : batch.num_prefill_tokens) += rows[r].count;
    batch.query_start_loc.push_back(batch.query_start_loc.back() + rows[r].count);
    batch.num_computed_tokens.push_back(rows[r].computed);
    batch.seq_lens.push_back(rows[r].computed + rows[r].count);
    for (std::int32_t i = 0; i < rows[r].count; ++i) batch.positions.push_back(rows[r].computed + i);
    batch.state_read.push_back(static_cast<std::int32_t>(10 + r));
    batch.state_write.push_back(static_cast<std::int32_t>(20 + r));
  }
  return batch;
}

std::unique_ptr<Mamba2Metadata> build(const BatchLayout& batch, int chunk_size, int block_size = 0) {
  auto metadata = Mamba2MetadataBuilder(chunk_size, block_size).build(batch);
  return std::unique_ptr<Mamba2Metadata>(static_cast<Mamba2Metadata*>(metadata.release()));
}

std::unique_ptr<MambaMetadata> build_common(const BatchLayout& batch) {
  auto metadata = MambaMetadataBuilder().build(batch);
  return std::unique_ptr<MambaMetadata>(static_cast<MambaMetadata*>(metadata.release()));
}

}  // namespace

TEST_CASE("Mamba-2 metadata of a mixed step: two decodes, a fresh prefill and a continued one") {
  const auto metadata = build(layout_of({{30, 1}, {7, 1}}, {{0, 10}, {6, 5}}), 8);
  CHECK(metadata->num_reqs == 4);
  CHECK(metadata->num_decodes == 2);
  CHECK(metadata->num_decode_tokens == 2);
  CHECK(metadata->num_prefills == 2);
  CHECK(metadata->num_prefill_tokens == 15);
  CHECK(metadata->query_start_loc_d == Ints{0, 1, 2});
  CHECK(metadata->query_start_loc_p == Ints{0, 10, 15});
  CHECK(metadata->has_initial_states_p == std::vector<std::uint8_t>{0, 1});
  CHECK(metadata->prep_initial_states);
  CHECK(metadata->state_read == Ints{10, 11, 12, 13});
  CHECK(metadata->state_write == Ints{20, 21, 22, 23});
  CHECK(metadata->num_accepted_tokens == Ints{1, 1});
  CHECK(metadata->chunk_size == 8);
  CHECK(metadata->cu_chunk_seqlen_p == Ints{0, 8, 10, 12, 15});
  CHECK(metadata->seq_idx_p == Ints{0, 0, 1, 1});
  CHECK(metadata->last_chunk_indices_p == Ints{1, 3});
  CHECK(metadata->conv_programs.nums == Ints{2, 1});
  CHECK(metadata->conv_programs.batch_ptr == Ints{0, 0, 1});
  CHECK(metadata->conv_programs.token_chunk_offset_ptr == Ints{0, 1, 0});
  CHECK_FALSE(metadata->block_indices.has_value());
  const SequenceBatch prefill = metadata->prefill_batch();
  CHECK(Ints(prefill.state_read.begin(), prefill.state_read.end()) == Ints{12, 13});
  const SequenceBatch decode = metadata->decode_batch();
  CHECK(Ints(decode.state_write.begin(), decode.state_write.end()) == Ints{20, 21});
  CHECK(decode.has_initial_state.size() == 2);
}

TEST_CASE("a first piece of one token is a prefill without an initial state") {
  const auto metadata = build(layout_of({}, {{0, 1}}), 8);
  CHECK(metadata->num_prefills == 1);
  CHECK(metadata->has_initial_states_p == std::vector<std::uint8_t>{0});
  CHECK_FALSE(metadata->prep_initial_states);
  CHECK(metadata->query_start_loc_d == Ints{0});
}

TEST_CASE("without snapshots a step is one wave") {
  const auto metadata = build_common(layout_of({{30, 1}}, {{0, 10}, {6, 5}}));
  REQUIRE(metadata->step_waves.size() == 1);
  CHECK(metadata->step_waves[0].query_start_loc == Ints{0, 1, 11, 16});
  CHECK(metadata->step_waves[0].state_read == Ints{10, 11, 12});
  CHECK(metadata->step_waves[0].has_initial_state == std::vector<std::uint8_t>{1, 0, 1});
  REQUIRE(metadata->prefill_waves.size() == 1);
  CHECK(metadata->prefill_waves[0].query_start_loc == Ints{0, 10, 15});
  CHECK(metadata->prefill_waves[0].state_write == Ints{21, 22});
}

TEST_CASE("a prefill with snapshots is cut after each of them, and goes on in the next wave") {
  BatchLayout batch = layout_of({{30, 1}}, {{0, 10}, {6, 5}});
  // Of the second prefill after 8 of its tokens (2 of this step), of the first after 7 and 3.
  batch.snapshots = {{.request = 2, .position = 8, .slot = 40},
                     {.request = 1, .position = 7, .slot = 42},
                     {.request = 1, .position = 3, .slot = 41}};
  const auto metadata = build_common(batch);
  const auto& waves = metadata->prefill_waves;
  REQUIRE(waves.size() == 3);
  CHECK(waves[0].query_start_loc == Ints{0, 3, 10, 12, 15});
  CHECK(waves[0].state_read == Ints{11, 0, 12, 0});
  CHECK(waves[0].state_write == Ints{41, 0, 40, 0});
  CHECK(waves[0].has_initial_state == std::vector<std::uint8_t>{0, 0, 1, 0});
  CHECK(waves[1].query_start_loc == Ints{0, 3, 7, 10, 12, 15});
  CHECK(waves[1].state_read == Ints{0, 41, 0, 0, 40});
  CHECK(waves[1].state_write == Ints{0, 42, 0, 0, 22});
  CHECK(waves[1].has_initial_state == std::vector<std::uint8_t>{0, 1, 0, 0, 1});
  CHECK(waves[2].query_start_loc == Ints{0, 7, 10, 15});
  CHECK(waves[2].state_read == Ints{0, 42, 0});
  CHECK(waves[2].state_write == Ints{0, 21, 0});
  REQUIRE(metadata->step_waves.size() == 3);
  CHECK(metadata->step_waves[1].query_start_loc == Ints{0, 1, 4, 8, 11, 13, 16});
  CHECK(metadata->step_waves[1].state_write == Ints{0, 0, 42, 0, 0, 22});
}

TEST_CASE("for operations that leave snapshots on the way, prefills with them are whole") {
  BatchLayout batch = layout_of({{30, 1}}, {{0, 20}, {6, 5}});
  batch.snapshots = {{.request = 2, .position = 9, .slot = 42},
                     {.request = 1, .position = 16, .slot = 41},
                     {.request = 1, .position = 8, .slot = 40}};
  const auto metadata = build_common(batch);
  const SequenceWave& whole = metadata->prefill_whole;
  CHECK(whole.query_start_loc == Ints{0, 20, 25});
  CHECK(whole.state_read == Ints{11, 12});
  CHECK(whole.state_write == Ints{21, 22});
  CHECK(whole.has_initial_state == std::vector<std::uint8_t>{0, 1});
  CHECK(whole.num_computed_tokens == Ints{0, 6});
  Ints found;
  for (const StateSnapshot& s : whole.batch().snapshots) found.insert(found.end(), {s.sequence, s.tokens, s.slot});
  CHECK(found == Ints{0, 8, 40, 0, 16, 41, 1, 3, 42});
}

TEST_CASE("accepted tokens of drafts are handed on") {
  BatchLayout batch = layout_of({{30, 3}, {7, 1}}, {});
  batch.num_accepted_tokens = {2, 1};
  const auto metadata = build(batch, 8);
  CHECK(metadata->query_start_loc_d == Ints{0, 3, 4});
  CHECK(metadata->num_accepted_tokens == Ints{2, 1});
}

TEST_CASE("snapshots name the chunk that ends at their token") {
  BatchLayout batch = layout_of({{4, 1}}, {{0, 20}, {6, 12}});
  batch.snapshots = {{.request = 1, .position = 16, .slot = 40},
                     {.request = 2, .position = 8, .slot = 41},
                     {.request = 2, .position = 16, .slot = 42},
                     {.request = 2, .position = 17, .slot = 43}};
  const auto metadata = build(batch, 8);
  CHECK(metadata->cu_chunk_seqlen_p == Ints{0, 8, 16, 20, 22, 30, 32});
  CHECK(metadata->snapshot_chunk == Ints{1, 3, 4, -1});
  CHECK(metadata->snapshot_slot == Ints{40, 41, 42, 43});
}

TEST_CASE("block indices exist only when a block size is given") {
  const auto metadata = build(layout_of({{16, 1}, {15, 1}}, {{0, 40}, {16, 5}, {33, 1}}), 8, 16);
  REQUIRE(metadata->block_indices.has_value());
  CHECK(metadata->block_indices->last_scheduled_token == Ints{1, 0, 2, 1, 2});
  CHECK(metadata->block_indices->last_computed_token == Ints{0, 0, 0, 0, 2});
  CHECK(metadata->block_indices->first_scheduled_token_p == Ints{0, 1, 2});
  CHECK(metadata->block_indices->num_computed_tokens_p == Ints{0, 16, 33});
}

TEST_CASE("200 random steps: every field follows from the rows") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 generator(seed);
  const auto uniform = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator); };
  for (int round = 0; round < 200; ++round) {
    std::vector<Row> decodes(static_cast<std::size_t>(uniform(0, 6)));
    std::vector<Row> prefills(static_cast<std::size_t>(uniform(0, 6)));
    for (Row& row : decodes) row = {uniform(1, 300), 1};
    for (Row& row : prefills) row = {uniform(0, 1) * uniform(0, 100), uniform(0, 90)};
    const int chunk_size = uniform(1, 32);
    const auto metadata = build(layout_of(decodes, prefills), chunk_size);
    REQUIRE(metadata->query_start_loc_p.size() == prefills.size() + 1);
    std::int32_t token = 0;
    std::size_t chunk = 0;
    std::size_t program = 0;
    for (std::size_t i = 0; i < prefills.size(); ++i) {
      CAPTURE(round, i, chunk_size, prefills[i].computed, prefills[i].count);
      REQUIRE(metadata->query_start_loc_p[i] == token);
      REQUIRE(metadata->has_initial_states_p[i] == (prefills[i].computed > 0 ? 1 : 0));
      REQUIRE(metadata->conv_programs.nums[i] == (prefills[i].count + 7) / 8);
      for (std::int32_t tile = 0; tile < metadata->conv_programs.nums[i]; ++tile, ++program) {
        REQUIRE(metadata->conv_programs.batch_ptr[program] == static_cast<std::int32_t>(i));
        REQUIRE(metadata->conv_programs.token_chunk_offset_ptr[program] == tile);
      }
      for (std::int32_t t = 0; t < prefills[i].count; ++t, ++token) {
        const bool opens = t == 0 || (prefills[i].computed + t) % chunk_size == 0;
        if (!opens) continue;
        REQUIRE(metadata->cu_chunk_seqlen_p[chunk] == token);
        REQUIRE(metadata->seq_idx_p[chunk] == static_cast<std::int32_t>(i));
        ++chunk;
      }
      REQUIRE(metadata->last_chunk_indices_p[i] ==
              (prefills[i].count == 0 ? -1 : static_cast<std::int32_t>(chunk) - 1));
    }
    REQUIRE(metadata->seq_idx_p.size() == chunk);
    REQUIRE(metadata->conv_programs.batch_ptr.size() == program);
  }
}

TEST_CASE("attention metadata maps every new token to its page, and a replayed one to none") {
  BatchLayout batch = layout_of({{17, 1}}, {{2, 4}});
  batch.block_tables.push_back({.max_blocks = 2, .pages = {5, 9, 3, 0}});
  batch.num_replayed_tokens = {0, 2};
  const auto built = AttentionMetadataBuilder(0, 16).build(batch);
  const auto& metadata = static_cast<const AttentionMetadata&>(*built);
  CHECK(metadata.slot_mapping == std::vector<std::int64_t>{9 * 16 + 1, -1, -1, 3 * 16 + 4, 3 * 16 + 5});
  CHECK(metadata.block_table == &batch.block_tables[0]);
}
