#pragma once

#include <optional>

#include "engine/runner/batch_builder.h"

namespace krait {

/// Steps of decodes that queue the same operations: all that a launch depends on. Filled up with rows that compute
/// nothing anyone reads, every step of a bucket has arrays of the same sizes.
struct DecodeBucket {
  int rows = 0;         ///< one request and one token each
  int max_seq_len = 0;  ///< a power of two; no request has more tokens
  auto operator<=>(const DecodeBucket&) const = default;
};

/// The smallest bucket that holds the step. Nothing for other kinds of steps: any with a prefill (though it be of one
/// token), or with a request of several tokens. What a request is says the plan, not its shape.
std::optional<DecodeBucket> decode_bucket(const BatchLayout& batch);

/// Fills a step up to its bucket. The new rows read and write the null slot, read the null page and write no KV.
void pad_decodes(const DecodeBucket& bucket, int block_size, PackedBatch& batch);

}  // namespace krait
