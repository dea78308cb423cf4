#include "engine/runner/decode_bucket.h"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace krait {
namespace {

/// 1, 2, 4, then multiples of 8, and of 32 above 256: no more than a quarter of a large step is padding, and the rows
/// that a matrix product takes at once are full.
int bucket_rows(int requests) {
  if (requests <= 8) return static_cast<int>(std::bit_ceil(static_cast<unsigned>(requests)));
  const int unit = requests <= 256 ? 8 : 32;
  return (requests + unit - 1) / unit * unit;
}

/// Short sequences are one bucket.
constexpr int kShortest = 256;

int bucket_seq_len(int seq_len) {
  return static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::max(seq_len, kShortest))));
}

/// Rows of `width` pages, and rows of the null page up to `rows`.
BlockTable padded(const BlockTable& table, std::size_t requests, std::size_t rows, int width) {
  BlockTable wide{.max_blocks = width, .pages = std::vector<std::int32_t>(rows * static_cast<std::size_t>(width), 0)};
  const auto old_width = static_cast<std::size_t>(table.max_blocks);
  const std::size_t kept = std::min(old_width, static_cast<std::size_t>(width));
  for (std::size_t r = 0; r < requests; ++r) {
    std::copy_n(table.pages.begin() + static_cast<std::ptrdiff_t>(r * old_width), kept,
                wide.pages.begin() + static_cast<std::ptrdiff_t>(r) * width);
  }
  return wide;
}

}  // namespace

std::optional<DecodeBucket> decode_bucket(const BatchLayout& batch) {
  const bool decodes = batch.num_prefills == 0 && batch.num_decodes > 0;
  if (!decodes || batch.num_decode_tokens != batch.num_decodes || !batch.snapshots.empty()) return std::nullopt;
  const int longest = *std::max_element(batch.seq_lens.begin(), batch.seq_lens.end());
  return DecodeBucket{.rows = bucket_rows(batch.num_decodes), .max_seq_len = bucket_seq_len(longest)};
}

void pad_decodes(const DecodeBucket& bucket, int block_size, PackedBatch& batch) {
  BatchLayout& layout = batch.layout;
  const auto requests = static_cast<std::size_t>(layout.num_decodes);
  const auto rows = static_cast<std::size_t>(bucket.rows);
  layout.num_decodes = bucket.rows;
  layout.num_decode_tokens = bucket.rows;
  layout.max_seq_len = bucket.max_seq_len;
  batch.ids.resize(rows, 0);
  layout.positions.resize(rows, 0);
  layout.num_computed_tokens.resize(rows, 0);
  layout.seq_lens.resize(rows, 1);
  layout.state_read.resize(rows, 0);
  layout.state_write.resize(rows, 0);
  layout.num_replayed_tokens.resize(rows, 1);
  while (layout.query_start_loc.size() <= rows) layout.query_start_loc.push_back(layout.query_start_loc.back() + 1);
  const int width = (bucket.max_seq_len + block_size - 1) / block_size;
  for (BlockTable& table : layout.block_tables) table = padded(table, requests, rows, width);
}

}  // namespace krait
