#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/attention/paged_kv.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// PagedAttentionArgs on the device. The rows of a request and KV head are its (query token, query head of the group)
/// pairs, tokens outermost; a block works on a tile of them, so that the heads of a group share the loads of K and V.
struct PagedAttention {
  ConstRows q{};
  Rows out{};
  PagedKv cache{};
  const std::int32_t* query_start_loc = nullptr;  ///< [R + 1]
  const std::int32_t* seq_lens = nullptr;         ///< [R]
  const std::int32_t* block_table = nullptr;      ///< [R, max_blocks]
  int max_blocks = 0;
  int heads = 0;
  float scale = 1.0F;
  int sliding_window = 0;
  float soft_cap = 0.0F;
  const float* sinks = nullptr;  ///< [heads] or null
};

/// Query tokens of a request up to which its keys are split among blocks: decode, with drafts.
inline constexpr int kMostSplitTokens = 8;

/// Keys of one block of a split request: segments lie at absolute multiples of this, which depends on the request's
/// length alone, so that its results do not depend on the batch. At most 64 segments.
constexpr int segment_keys(int seq_len) {
  constexpr int kSegments = 64;
  constexpr int kUnit = 256;
  const int even = (seq_len + kSegments - 1) / kSegments;
  return even < kUnit ? kUnit : (even + kUnit - 1) / kUnit * kUnit;
}

/// The first key that a query at `position` sees.
constexpr int first_visible_key(int sliding_window, int position) {
  return sliding_window > 0 && position >= sliding_window ? position - sliding_window + 1 : 0;
}

/// The segments that `tokens` query tokens at the end of `seq_len` keys see.
constexpr int segments_of(int sliding_window, int seq_len, int tokens) {
  const int length = segment_keys(seq_len);
  return (seq_len - 1) / length - first_visible_key(sliding_window, seq_len - tokens) / length + 1;
}

/// At least the segments of every request of up to `max_seq_len` keys.
constexpr int most_segments(int sliding_window, int max_seq_len) {
  constexpr int kShortest = segment_keys(1);
  constexpr int kSegments = 64;
  const int all = max_seq_len <= kSegments * kShortest ? (max_seq_len + kShortest - 1) / kShortest : kSegments;
  if (sliding_window == 0) return all;
  // So many keys in a row, wherever they begin.
  const int visible = sliding_window + kMostSplitTokens - 1;
  const int touched = (visible + kShortest - 2) / kShortest + 1;
  return touched < all ? touched : all;
}

/// Requests that are worked on together: those that are split, or those that are not (others among them are skipped).
struct AttentionPart {
  bool split = false;
  int first_request = 0;
  int requests = 0;
  int first_token = 0;
  int tokens = 0;       ///< of these requests, rows of q from first_token on
  int most_tokens = 0;  ///< of one request
  int segments = 1;     ///< most of one request
};

/// Memory for what the segments of split rows leave to be merged, in floats.
std::size_t partial_floats(const PagedAttention& args, const AttentionPart& part);

/// softmax(scale q k^T + mask) v for the part's rows. `partials` holds partial_floats.
void paged_attention(const PagedAttention& args, const AttentionPart& part, float* partials, Stream stream);

}  // namespace krait::cuda
