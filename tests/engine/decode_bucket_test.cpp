#include "engine/runner/decode_bucket.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace krait;

namespace {

using Pages = std::vector<std::vector<std::int32_t>>;

StepRequest decode(int computed, const Pages& pages, std::int32_t slot) {
  return {.key = 1,
          .tokens = {9},
          .num_computed = computed,
          .is_decode = true,
          .state_read = slot,
          .state_write = slot,
          .pages = pages,
          .sample = std::nullopt};
}

StepPlan decodes(int count, int computed, const Pages& pages) {
  StepPlan plan;
  for (int i = 0; i < count; ++i) plan.requests.push_back(decode(computed, pages, 3));
  return plan;
}

}  // namespace

TEST_CASE("buckets: rows by small powers of two, then by tiles; lengths by powers of two") {
  const Pages pages(1, std::vector<std::int32_t>(300, 1));
  const auto bucket = [&](int count, int computed) {
    return decode_bucket(pack_batch(decodes(count, computed, pages), 1).layout).value();
  };
  CHECK(bucket(1, 5) == DecodeBucket{1, 256});
  CHECK(bucket(3, 255) == DecodeBucket{4, 256});
  CHECK(bucket(8, 256) == DecodeBucket{8, 512});
  CHECK(bucket(9, 511) == DecodeBucket{16, 512});
  CHECK(bucket(17, 512) == DecodeBucket{24, 1024});
  CHECK(bucket(256, 1) == DecodeBucket{256, 256});
  CHECK(bucket(257, 1) == DecodeBucket{288, 256});
}

TEST_CASE("buckets: only steps of decodes of one token have one, whatever else looks like them") {
  const Pages pages(1, std::vector<std::int32_t>{1});
  StepPlan prefill = decodes(2, 0, pages);
  prefill.requests[1].is_decode = false;
  CHECK_FALSE(decode_bucket(pack_batch(prefill, 1).layout));
  prefill.requests.erase(prefill.requests.begin());
  CHECK_FALSE(decode_bucket(pack_batch(prefill, 1).layout));
  StepPlan drafts = decodes(1, 4, pages);
  drafts.requests[0].tokens = {1, 2};
  CHECK_FALSE(decode_bucket(pack_batch(drafts, 1).layout));
  CHECK_FALSE(decode_bucket(pack_batch({}, 1).layout));
}

TEST_CASE("padded rows stand on the null slot and page and write no KV") {
  const Pages pages{{4, 5}, {6}};
  StepPlan plan = decodes(3, 20, pages);
  PackedBatch batch = pack_batch(plan, 2);
  const DecodeBucket bucket = decode_bucket(batch.layout).value();
  pad_decodes(bucket, 16, batch);
  const BatchLayout& layout = batch.layout;
  CHECK(layout.num_decodes == 4);
  CHECK(layout.num_tokens() == 4);
  CHECK(layout.max_seq_len == 256);
  CHECK(batch.ids == std::vector<std::int32_t>{9, 9, 9, 0});
  CHECK(layout.query_start_loc == std::vector<std::int32_t>{0, 1, 2, 3, 4});
  CHECK(layout.positions == std::vector<std::int32_t>{20, 20, 20, 0});
  CHECK(layout.seq_lens == std::vector<std::int32_t>{21, 21, 21, 1});
  CHECK(layout.state_read == std::vector<std::int32_t>{3, 3, 3, 0});
  CHECK(layout.state_write == std::vector<std::int32_t>{3, 3, 3, 0});
  CHECK(layout.num_replayed_tokens == std::vector<std::int32_t>{0, 0, 0, 1});
  for (const BlockTable& table : layout.block_tables) {
    CHECK(table.max_blocks == 16);
    CHECK(table.pages.size() == 64);
    CHECK(std::count(table.pages.begin() + 48, table.pages.end(), 0) == 16);
  }
  CHECK(std::vector(layout.block_tables[0].pages.begin() + 16, layout.block_tables[0].pages.begin() + 19) ==
        std::vector<std::int32_t>{4, 5, 0});
}
