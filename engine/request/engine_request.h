#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/sampling_params.h"

namespace krait {

class CompiledConstraint;

/// Which rows of logits the caller wants to see, beside the tokens.
enum class PromptLogits : std::uint8_t { kNone, kLast, kAll };

/// One sequence to continue. Plain data; token ids are already checked against the vocabulary.
struct EngineRequest {
  std::string id;  ///< unique among live requests; appears in logs
  std::vector<std::int32_t> prompt;
  SamplingParams sampling;
  int priority = 0;  ///< lower runs first, as vLLM's
  std::optional<std::chrono::steady_clock::time_point> deadline;
  std::string cache_salt;  ///< prefixes are shared among requests of one salt only
  /// Requests of one group have the same prompt: one of them computes it, the others wait for that and go on from its
  /// pages and state. Empty: no group.
  std::string fork_group{};
  /// Tokens of the prompt after which other prompts are likely to differ (the end of a chat's system prompt, its last
  /// message border): where a snapshot of the recurrent state pays.
  std::vector<std::int32_t> cache_points{};
  PromptLogits prompt_logits = PromptLogits::kNone;
  /// Log-probabilities of the prompt's tokens from the second on: of each, and of the n best in its place.
  std::optional<int> prompt_logprobs;
  /// Raw logits of every generated token too (`krait logits`).
  bool generated_logits = false;
  /// What the answer must look like; null: anything. Made for this model's vocabulary.
  std::shared_ptr<const CompiledConstraint> constraint{};
};

/// Whether a cached prefix may stand for computing it: not where a caller wants to see rows of the prompt.
[[nodiscard]] inline bool may_reuse_prefix(const EngineRequest& request) {
  return request.prompt_logits != PromptLogits::kAll && !request.prompt_logprobs && !request.generated_logits;
}

}  // namespace krait
