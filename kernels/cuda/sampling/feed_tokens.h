#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// Sampled tokens as the next step's ids: ids[i] = tokens[rows[i]], or 0 where that is -1, a row that had no token;
/// rows[i] < 0 leaves ids[i].
struct FeedTokens {
  const std::int32_t* tokens = nullptr;
  const std::int32_t* rows = nullptr;  ///< [count]
  std::int32_t* ids = nullptr;         ///< [count]
  int count = 0;
};

/// A thread an id; bound by the launch.
void feed_tokens(const FeedTokens& args, Stream stream);

}  // namespace krait::cuda
