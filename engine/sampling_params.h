#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace krait {

/// What a caller may ask of sampling. Validated at the edge (`server/service`); the engine trusts it. Stop strings are
/// not here: they are text, and text lives on the server's side.
struct SamplingParams {
  float temperature = 1.0F;  ///< 0 is greedy
  int top_k = 0;             ///< 0: off
  float top_p = 1.0F;
  float min_p = 0.0F;
  float repetition_penalty = 1.0F;
  float presence_penalty = 0.0F;
  float frequency_penalty = 0.0F;
  std::uint64_t seed = 0;  ///< the edge draws one when the caller gave none
  int max_tokens = 16;     ///< at least 1 (0 is legal together with prompt logits: nothing is generated)
  int min_tokens = 0;      ///< no stop token before this many
  bool ignore_eos = false;
  std::vector<std::int32_t>
      stop_token_ids;  ///< the caller's, and unless ignore_eos the model's end tokens (the edge merges them)
  std::vector<std::pair<std::int32_t, float>> logit_bias;
  std::optional<int> logprobs;  ///< nullopt: none; n: of the chosen token and of the n best
};

}  // namespace krait
