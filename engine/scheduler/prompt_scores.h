#pragma once

#include <vector>

#include "engine/request/engine_request.h"
#include "engine/runner/step_plan.h"
#include "kernels/result.h"

namespace krait {

/// Which tokens of a prompt still have to be scored. The row after the token at position p scores the one at p + 1, so
/// a prompt of n tokens has n - 1 scores; each is delivered once and in order, also when a preempted request computes
/// its history again.
class PromptScores {
 public:
  explicit PromptScores(const EngineRequest& request);

  /// What to ask of the runner for the piece of positions [begin, end).
  [[nodiscard]] StepScores wanted(int begin, int end, const std::vector<std::int32_t>& history) const;

  /// Takes note of the runner's scores for that piece. An internal error when their number is not what was asked.
  [[nodiscard]] Status take(int begin, int end, const std::vector<SampledToken>& scores);

 private:
  int num_logprobs_ = 0;
  int next_ = 0;  ///< the first position whose row is still to come
  int end_ = 0;   ///< the first position past the last row
};

}  // namespace krait
