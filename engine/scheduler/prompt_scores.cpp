#include "engine/scheduler/prompt_scores.h"

#include <algorithm>
#include <string>

namespace krait {

PromptScores::PromptScores(const EngineRequest& request) {
  if (!request.prompt_logprobs) return;
  num_logprobs_ = *request.prompt_logprobs;
  end_ = static_cast<int>(request.prompt.size()) - 1;
}

StepScores PromptScores::wanted(int begin, int end, const std::vector<std::int32_t>& history) const {
  const int first = std::max(begin, next_);
  const int last = std::min(end, end_);
  if (first >= last) return {};
  StepScores scores{.first_row = first - begin, .num_logprobs = num_logprobs_};
  scores.targets.assign(history.begin() + first + 1, history.begin() + last + 1);
  return scores;
}

Status PromptScores::take(int begin, int end, const std::vector<SampledToken>& scores) {
  const int first = std::max(begin, next_);
  const int last = std::min(end, end_);
  const int expected = std::max(last - first, 0);
  if (static_cast<int>(scores.size()) != expected) {
    return Error{.code = ErrorCode::kInternal,
                 .message = "the runner scored " + std::to_string(scores.size()) + " tokens of a prompt where " +
                            std::to_string(expected) + " were asked for",
                 .field = {}};
  }
  if (expected > 0) next_ = last;
  return ok_status();
}

}  // namespace krait
