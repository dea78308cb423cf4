#pragma once

#include <cstdint>

#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// How one row of edited logits becomes a token (SampleRow without what edits and host have done already).
struct DrawRow {
  float temperature = 0.0F;  ///< 0: greedy
  std::int32_t top_k = 0;    ///< 0: off
  float top_p = 1.0F;
  float min_p = 0.0F;
  double uniform = 0.0;                    ///< in [0, 1)
  const std::uint32_t* allowed = nullptr;  ///< a bit a token, or null: all
  std::int32_t allowed_words = 0;          ///< tokens past the last word are not allowed
};

struct DrawTokens {
  Rows logits{};                   ///< overwritten
  const DrawRow* rows = nullptr;   ///< [count]
  std::int32_t* tokens = nullptr;  ///< [count]; -1: a NaN, or no finite logit
  int count = 0;
  int vocab = 0;
};

/// A block a row. Weights exp((x - max) / temperature) are summed as integers of 2^-40, so that a result depends
/// neither on the order of threads nor on the rest of the batch; a token below 2^-40 of the best is never drawn. Top-k
/// and top-p find the lightest kept token by three histograms over the bits of its weight (11 + 11 + 10), without a
/// sort; among equals the lower ids are kept. The token is the one at which the running sum in order of ids passes
/// uniform * total. Reads the row 4 times, and 3 more for each of top-k and top-p; bound by the reads of one
/// multiprocessor a row.
void draw_tokens(const DrawTokens& args, Stream stream);

}  // namespace krait::cuda
