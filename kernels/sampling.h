#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels/tensor.h"

namespace krait {

/// How one row of logits becomes a token. The order is vLLM's: logit bias, penalties, minimum tokens (the mask),
/// temperature, min-p, top-k, top-p, draw. Plain data: the same row gives the same token whatever else is in the batch.
struct SampleRow {
  float temperature = 1.0F;  ///< 0: greedy (the lowest id among equals), the filters below have no effect then
  int top_k = 0;             ///< 0: off
  float top_p = 1.0F;        ///< 1: off
  float min_p = 0.0F;        ///< 0: off
  float repetition_penalty = 1.0F;
  float presence_penalty = 0.0F;
  float frequency_penalty = 0.0F;
  std::uint64_t seed = 0;
  /// Tokens generated before this one: with the seed it fixes the draw, so that preemption or company cannot move it.
  std::uint64_t position = 0;
  std::span<const std::int32_t> prompt_tokens{};  ///< read by the repetition penalty only
  std::span<const std::int32_t> output_tokens{};  ///< read by all three penalties
  std::span<const std::pair<std::int32_t, float>> logit_bias{};
  std::span<const std::int32_t> banned_tokens{};     ///< never chosen (end tokens before min_tokens)
  std::span<const std::uint32_t> allowed_bitmask{};  ///< empty, or one bit a vocabulary entry: a grammar's mask
  int num_logprobs = -1;                             ///< -1: none; 0: of the chosen token; n: and of the n best
};

struct TokenLogprob {
  std::int32_t token = 0;
  float logprob = 0.0F;
};

/// What one row gave. Log-probabilities are of the raw logits (before bias, penalties and temperature), as vLLM's
/// default.
struct SampledToken {
  std::int32_t token = -1;  ///< -1: the row has no finite logit or holds a NaN; the request must be failed
  float logprob = 0.0F;
  int rank = 0;                     ///< 1 for the most likely token; 0 when no log-probabilities were asked for
  std::vector<TokenLogprob> top{};  ///< `num_logprobs` entries, best first
};

struct SampleArgs {
  TensorView logits{};  ///< [rows, vocab] float32; may be overwritten
  std::span<const SampleRow> rows{};
  std::span<SampledToken> out{};  ///< [rows]
};

}  // namespace krait
