#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/sampling_params.h"
#include "kernels/result.h"
#include "server/service/generation_request.h"

namespace krait::server {

/// What a model allows.
struct ModelLimits {
  int max_model_len = 0;
  int vocab_size = 0;
  /// The checkpoint's; nullopt: 16 for completions, what is left of the context for chats.
  std::optional<std::int64_t> default_max_tokens{};
};

/// Checks everything that does not need the tokens: fields that are not served (kUnsupported, by name), ranges, stop
/// strings, ids. Each message names the field, the value that was found and what is valid. The only place where ranges
/// are checked.
Status validate(const GenerationRequest& request, const ModelLimits& limits);

/// The prompt's length against the context, and the number of tokens that may be generated: the caller's, else the
/// default.
Result<int> resolve_max_tokens(const GenerationRequest& request, std::int64_t prompt_tokens, const ModelLimits& limits);

/// Ids of a prompt against the vocabulary; `field` as the caller knows it.
Status check_prompt_ids(const std::vector<std::int32_t>& ids, const ModelLimits& limits, const std::string& field);

/// The engine's parameters of one choice, of a request that `validate` has passed. The model's end tokens are merged in
/// unless ignore_eos. Choice 0 of a seeded request has the caller's seed itself, the others have seeds derived from it.
SamplingParams make_sampling_params(const GenerationRequest& request, int max_tokens, std::uint64_t seed,
                                    const std::vector<std::int32_t>& eos_token_ids);
std::uint64_t derive_seed(std::uint64_t seed, std::int64_t choice);

}  // namespace krait::server
