#pragma once

#include "kernels/cuda/attention/attention_kernels.h"
#include "kernels/cuda/reduce.cuh"

/// Which rows and keys a block of the attention kernels works on.
namespace krait::cuda {

/// Rows [first_row, first_row + rows) of a request: row i is its token i / group and head i % group of the KV head.
struct RowTile {
  int request = 0;
  int first_row = 0;
  int rows = 0;         ///< 0: nothing to do
  int first_token = 0;  ///< of the request, as a row of q
  int first_position = 0;
  int seq_len = 0;
  int group = 1;

  [[nodiscard]] __device__ __forceinline__ int token(int row) const { return first_token + (first_row + row) / group; }
  [[nodiscard]] __device__ __forceinline__ int head(int row) const { return (first_row + row) % group; }
  [[nodiscard]] __device__ __forceinline__ int position(int row) const {
    return first_position + (first_row + row) / group;
  }
};

/// Keys [begin, end) of a tile's block.
struct KeySpan {
  int begin = 0;
  int end = 0;
};

/// The last i < count for which `holds`; it holds for 0 and, from some i on, no longer. All lanes of a warp.
template <typename Fn>
__device__ __forceinline__ int last_where(int count, Fn holds) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  int low = 0;
  while (count > 1) {
    const int step = (count + kWarp - 1) / kWarp;
    const int probe = lane * step;
    const int last = __popc(__ballot_sync(kAllLanes, probe < count && holds(low + probe) ? 1 : 0)) - 1;
    low += last * step;
    count = count - last * step < step ? count - last * step : step;
  }
  return low;
}

/// Blocks along x for tiles of `rows` rows: request i's begin at (its first row) / rows + i, which leaves room for
/// each.
inline unsigned tile_blocks(const AttentionPart& part, int group, int rows) {
  return static_cast<unsigned>(part.tokens * group / rows + part.requests);
}

/// The tile of block `block` of `tile_blocks`.
__device__ __forceinline__ RowTile row_tile(const PagedAttention& args, const AttentionPart& part, int tile_rows,
                                            int block) {
  const int group = args.heads / args.cache.kv_heads;
  const std::int32_t* starts = args.query_start_loc + part.first_request;
  const auto first_block = [&](int i) { return (starts[i] - part.first_token) * group / tile_rows + i; };
  const int i = last_where(part.requests, [&](int at) { return first_block(at) <= block; });
  const int tokens = starts[i + 1] - starts[i];
  RowTile tile;
  tile.request = part.first_request + i;
  tile.first_row = (block - first_block(i)) * tile_rows;
  tile.first_token = starts[i];
  tile.group = group;
  const int left = tokens * group - tile.first_row;
  if (left <= 0 || (tokens <= kMostSplitTokens) != part.split) return tile;
  tile.rows = left < tile_rows ? left : tile_rows;
  tile.seq_len = args.seq_lens[tile.request];
  tile.first_position = tile.seq_len - tokens;
  return tile;
}

/// The segment of a request's first visible key: its segments are counted from here.
__device__ __forceinline__ int first_segment(const PagedAttention& args, int first_position, int seq_len) {
  return first_visible_key(args.sliding_window, first_position) / segment_keys(seq_len);
}

/// The keys that rows of the tile see, of segment `segment` of a split request. May be empty.
__device__ __forceinline__ KeySpan key_span(const PagedAttention& args, const AttentionPart& part, const RowTile& tile,
                                            int segment) {
  KeySpan keys{first_visible_key(args.sliding_window, tile.position(0)), tile.position(tile.rows - 1) + 1};
  if (!part.split) return keys;
  const int length = segment_keys(tile.seq_len);
  const int begin = (first_segment(args, tile.first_position, tile.seq_len) + segment) * length;
  if (begin > keys.begin) keys.begin = begin;
  if (begin + length < keys.end) keys.end = begin + length;
  return keys;
}

/// The score as the softmax takes it.
__device__ __forceinline__ float final_score(const PagedAttention& args, float product) {
  const float score = product * args.scale;
  return args.soft_cap > 0.0F ? args.soft_cap * tanhf(score / args.soft_cap) : score;
}

/// What a row's sums are multiplied with in the end, when `max` is the greatest score of all and `weight` the sum of
/// exp(score - max). A sink is one more key whose value is zero.
struct RowEnd {
  float max = 0.0F;
  float weight = 0.0F;
};
__device__ __forceinline__ RowEnd with_sink(const PagedAttention& args, int head, float max, float weight) {
  if (args.sinks == nullptr) return {max, weight};
  const float sink = args.sinks[head];
  const float both = fmaxf(max, sink);
  return {both, weight * expf(max - both) + expf(sink - both)};
}

}  // namespace krait::cuda
