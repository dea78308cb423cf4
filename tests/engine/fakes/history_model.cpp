#include "tests/engine/fakes/history_model.h"

#include <algorithm>

namespace krait::test {

namespace {

bool contains(std::span<const std::int32_t> list, std::int32_t token) {
  return std::find(list.begin(), list.end(), token) != list.end();
}

/// Rows of the prompt's positions; the generated ones are added as they come.
bool wants_row(const EngineRequest& request, int position) {
  const int prompt = static_cast<int>(request.prompt.size());
  if (position < prompt - 1) return request.prompt_logits == PromptLogits::kAll;
  if (position == prompt - 1 && request.prompt_logits != PromptLogits::kNone) return true;
  return request.generated_logits && request.sampling.max_tokens > 0;
}

}  // namespace

std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31U);
}

std::uint64_t advance(std::uint64_t state, std::int32_t token, int position) {
  return mix(state ^ kv_entry(token, position));
}

std::uint64_t kv_entry(std::int32_t token, int position) {
  return mix((static_cast<std::uint64_t>(position) << 32U) + static_cast<std::uint64_t>(token) + 1);
}

std::vector<float> logits_row(std::uint64_t state, int position) {
  return {static_cast<float>(position), static_cast<float>(state & 0xFFFFU)};
}

float score(std::uint64_t state, std::int32_t token) {
  return -static_cast<float>(mix(state + static_cast<std::uint64_t>(token)) & 0xFFFFU);
}

std::int32_t sample(std::uint64_t state, const SampleRow& row) {
  auto token = static_cast<std::int32_t>(mix(state ^ mix(row.seed + (row.position << 20U))) % kVocab);
  while (contains(row.banned_tokens, token)) token = (token + 1) % kVocab;
  return token;
}

Answer solo_answer(const EngineRequest& request) {
  const SamplingParams& sampling = request.sampling;
  Answer answer;
  std::uint64_t state = kInitialState;
  int position = 0;
  const auto feed = [&](std::int32_t token) {
    state = advance(state, token, position);
    const auto next = static_cast<std::size_t>(position) + 1;
    if (request.prompt_logprobs && next < request.prompt.size()) {
      answer.scores.emplace_back(request.prompt[next], score(state, request.prompt[next]));
    }
    if (wants_row(request, position)) answer.logits.push_back(logits_row(state, position));
    ++position;
  };
  for (const std::int32_t token : request.prompt) feed(token);
  answer.finish = FinishReason::kLength;
  for (int n = 0; n < sampling.max_tokens; ++n) {
    if (n > 0) feed(answer.tokens.back());
    SampleRow row{.seed = sampling.seed, .position = static_cast<std::uint64_t>(n)};
    if (n < sampling.min_tokens) row.banned_tokens = sampling.stop_token_ids;
    answer.tokens.push_back(sample(state, row));
    if (n >= sampling.min_tokens && contains(sampling.stop_token_ids, answer.tokens.back())) {
      answer.finish = FinishReason::kStop;
      answer.stop_token = answer.tokens.back();
      break;
    }
  }
  return answer;
}

}  // namespace krait::test
