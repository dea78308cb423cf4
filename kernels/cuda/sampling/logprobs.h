#pragma once

#include <cstdint>

#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// Log-probabilities of raw logits: of one token a row with its rank (1: the most likely), and of the `top` best, best
/// first, the lower id among equals. A block a row, which reads the row 3 + top times.
struct LogProbs {
  ConstRows logits{};
  const std::int32_t* source = nullptr;  ///< [count]: the row of `logits`
  const std::int32_t* tokens = nullptr;  ///< [rows of logits]; -1: nothing is written
  const std::int32_t* wanted = nullptr;  ///< [count]: how many of the best, at most `top`
  int count = 0;
  int vocab = 0;
  int top = 0;
  float* logprobs = nullptr;           ///< [count]
  std::int32_t* ranks = nullptr;       ///< [count]
  std::int32_t* top_tokens = nullptr;  ///< [count, top]
  float* top_logprobs = nullptr;       ///< [count, top]
};
void log_probs(const LogProbs& args, Stream stream);

}  // namespace krait::cuda
