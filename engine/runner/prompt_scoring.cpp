// Log-probabilities of prompts, computed as those of generated tokens are: by the sampler, a few rows at a time, so
// that no [tokens, vocabulary] matrix is ever kept.

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "engine/runner/model_runner.h"
#include "kernels/result.h"

namespace krait {
namespace {

/// Rows of logits that are in memory at once.
constexpr std::size_t kScoredRows = 64;

/// Lifts one token above every finite logit, so that a greedy draw takes it. Log-probabilities are of the raw logits.
constexpr float kForced = 1e30F;

struct ScoredRow {
  std::size_t owner = 0;  ///< index of the request in the plan
  int num_logprobs = 0;
  std::pair<std::int32_t, float> bias;
};

Error no_finite_logits() {
  return {.code = ErrorCode::kInternal,
          .message =
              "the model produced no finite logits for a token of the prompt (NaN or infinity); the request was "
              "ended, others are not affected",
          .field = {}};
}

/// A token that a model rules out (a logit of minus infinity) is not drawn whatever its bias.
SampledToken as_score(SampledToken drawn, std::int32_t target) {
  if (drawn.token == target) return drawn;
  drawn.token = target;
  drawn.logprob = -std::numeric_limits<float>::infinity();
  drawn.rank = std::numeric_limits<int>::max();
  return drawn;
}

}  // namespace

void ModelRunner::score_prompts(ForwardContext& context, const StepPlan& plan, const StepRows& step,
                                StepResult& result) {
  std::vector<std::int32_t> rows;
  std::vector<ScoredRow> scored;
  for (std::size_t r = 0; r < plan.requests.size(); ++r) {
    const StepScores& scores = plan.requests[r].scores;
    std::int32_t row = context.batch.query_start_loc[r] + scores.first_row;
    for (const std::int32_t target : scores.targets) {
      rows.push_back(row++);
      scored.push_back({.owner = r, .num_logprobs = scores.num_logprobs, .bias = {target, kForced}});
    }
  }
  for (std::size_t begin = 0; begin < rows.size(); begin += kScoredRows) {
    const Workspace::Scope scope(workspace_);
    const std::size_t count = std::min(kScoredRows, rows.size() - begin);
    const TensorView logits = logits_of(context, step, std::span(rows).subspan(begin, count));
    std::vector<SampleRow> parameters(count);
    for (std::size_t i = 0; i < count; ++i) {
      parameters[i].temperature = 0.0F;
      parameters[i].logit_bias = {&scored[begin + i].bias, 1};
      parameters[i].num_logprobs = scored[begin + i].num_logprobs;
    }
    std::vector<SampledToken> drawn(count);
    context.ops.sample({.logits = logits, .rows = parameters, .out = drawn});
    for (std::size_t i = 0; i < count; ++i) {
      const ScoredRow& row = scored[begin + i];
      StepOutput& output = result.outputs[row.owner];
      if (drawn[i].token < 0) output.error = no_finite_logits();
      output.scores.push_back(as_score(std::move(drawn[i]), row.bias.first));
    }
  }
}

}  // namespace krait
