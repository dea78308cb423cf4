#include "engine/scheduler/logits_rows.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace krait {

LogitsRows::LogitsRows(const EngineRequest& request) {
  const int prompt = static_cast<int>(request.prompt.size());
  next_ = request.prompt_logits == PromptLogits::kAll ? 0 : prompt - 1;
  if (request.prompt_logits != PromptLogits::kNone) end_ = prompt;
  if (request.generated_logits && request.sampling.max_tokens > 0) end_ = std::numeric_limits<int>::max();
}

PromptLogits LogitsRows::wanted(int begin, int end) const {
  const int first = std::max(begin, next_);
  const int last = std::min(end, end_);
  if (first >= last) return PromptLogits::kNone;
  return first == end - 1 ? PromptLogits::kLast : PromptLogits::kAll;
}

Result<std::vector<std::vector<float>>> LogitsRows::take(int begin, int end, std::vector<std::vector<float>> rows) {
  const PromptLogits asked = wanted(begin, end);
  const int expected = asked == PromptLogits::kNone ? 0 : asked == PromptLogits::kLast ? 1 : end - begin;
  if (static_cast<int>(rows.size()) != expected) {
    return Error{.code = ErrorCode::kInternal,
                 .message = "the runner returned " + std::to_string(rows.size()) + " rows of logits where " +
                            std::to_string(expected) + " were asked for",
                 .field = {}};
  }
  if (expected == 0) return rows;
  const int first_row = end - expected;
  const int first = std::max(begin, next_);
  const int last = std::min(end, end_);
  rows.resize(static_cast<std::size_t>(last - first_row));
  rows.erase(rows.begin(), rows.begin() + (first - first_row));
  next_ = last;
  return rows;
}

}  // namespace krait
