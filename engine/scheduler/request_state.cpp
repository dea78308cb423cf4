#include "engine/scheduler/request_state.h"

#include <utility>

namespace krait {

RequestState::RequestState(std::uint64_t key_in, EngineRequest request_in, TimePoint arrival)
    : key(key_in), request(std::move(request_in)), history(request.prompt), logits(request), scores(request) {
  stats.prompt_tokens = num_prompt();
  stats.arrival = arrival;
}

bool RequestState::may_reuse_prefix() const { return krait::may_reuse_prefix(request); }

SampleRow RequestState::sample_row(int unseen) const {
  const SamplingParams& sampling = request.sampling;
  SampleRow row{.temperature = sampling.temperature,
                .top_k = sampling.top_k,
                .top_p = sampling.top_p,
                .min_p = sampling.min_p,
                .repetition_penalty = sampling.repetition_penalty,
                .presence_penalty = sampling.presence_penalty,
                .frequency_penalty = sampling.frequency_penalty,
                .seed = sampling.seed,
                .position = static_cast<std::uint64_t>(num_generated() + unseen),
                .prompt_tokens = request.prompt,
                .output_tokens = std::span(history).subspan(request.prompt.size()),
                .logit_bias = sampling.logit_bias,
                .banned_tokens = {},
                .allowed_bitmask = {},
                .num_logprobs = sampling.logprobs.value_or(-1)};
  if (num_generated() + unseen < sampling.min_tokens) row.banned_tokens = sampling.stop_token_ids;
  return row;
}

}  // namespace krait
