#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "engine/request/engine_request.h"
#include "engine/request/token_stream.h"

namespace krait::test {

constexpr std::int32_t kVocab = 50;

/// A "model" whose every answer depends on the whole history: a hash fed token by token, as a recurrent state is.
std::uint64_t mix(std::uint64_t value);
constexpr std::uint64_t kInitialState = 0x9E3779B97F4A7C15ULL;
std::uint64_t advance(std::uint64_t state, std::int32_t token, int position);
/// What a page keeps of one token.
std::uint64_t kv_entry(std::int32_t token, int position);
/// The row of logits after the token at `position`: enough to tell it from every other row.
std::vector<float> logits_row(std::uint64_t state, int position);
/// The log-probability that the row after `state` gives to a token.
float score(std::uint64_t state, std::int32_t token);
std::int32_t sample(std::uint64_t state, const SampleRow& row);

/// What a request must be given, whatever else runs: computed without scheduler, caches or batches.
struct Answer {
  std::vector<std::int32_t> tokens;
  std::vector<std::vector<float>> logits;
  std::vector<std::pair<std::int32_t, float>> scores;  ///< of the prompt: token and log-probability
  std::optional<FinishReason> finish;
  std::optional<std::int32_t> stop_token;
  bool operator==(const Answer&) const = default;
};
Answer solo_answer(const EngineRequest& request);

}  // namespace krait::test
