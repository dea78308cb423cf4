#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "engine/request/engine_request.h"
#include "kernels/platform.h"
#include "kernels/result.h"
#include "kernels/sampling.h"

namespace krait {

class MaskSession;

/// Tokens of a prompt to score: targets[i] by the logits of row `first_row + i` of the piece.
struct StepScores {
  int first_row = 0;
  int num_logprobs = 0;  ///< of the n best beside the target
  std::vector<std::int32_t> targets{};
};

/// What one request does in one step. Plain data: a tensor-parallel rank or an emulated platform receives the same.
struct StepRequest {
  std::uint64_t key = 0;  ///< the scheduler's own number for the request
  /// New tokens of this step: one for a decode, a piece of the prompt (or of a recomputed history) for a prefill.
  std::vector<std::int32_t> tokens;
  /// Of a decode that is planned ahead: the request of the step in flight whose sampled token this one's token is, as
  /// an index into that plan; `tokens` holds a 0 in its place. -1: `tokens` says it.
  int token_source = -1;
  int num_computed = 0;  ///< tokens already in the caches; absolute position of tokens[0]
  /// A decode is a request whose whole prompt has been computed; it extends the sequence by the token sampled last. A
  /// first piece of one token is a prefill.
  bool is_decode = false;
  std::int32_t state_read = 0;   ///< slot; ignored while num_computed is 0
  std::int32_t state_write = 0;  ///< slot
  /// Block table, one a KV group, covering num_computed + tokens.size(). Points into the scheduler's request, and stays
  /// as it is until `submit` has returned: copying tables is most of what planning a large batch would cost.
  std::span<const std::vector<std::int32_t>> pages;
  /// Tokens of this step, from the first, whose K and V already lie in pages that others read: they are not written.
  int num_replayed = 0;
  /// States to keep inside the piece, ascending: (tokens computed, slot).
  std::vector<std::pair<int, std::int32_t>> snapshots{};
  /// Sample after the last token of `tokens`; nullopt for a piece that does not end the prompt. The spans in it point
  /// into the scheduler's request and stay valid until `submit` has returned.
  std::optional<SampleRow> sample;
  PromptLogits logits = PromptLogits::kNone;  ///< kAll: of every token of this piece; kLast: of its last one
  StepScores scores{};
  /// With `sample`, of a constrained request: which tokens may be sampled, being computed meanwhile. The scheduler's;
  /// valid until `wait` has returned.
  MaskSession* mask = nullptr;
};

struct StepPlan {
  std::uint64_t step = 0;
  std::vector<StepRequest> requests;  ///< decodes first, then prefills
};

struct StepOutput {
  std::uint64_t key = 0;
  std::vector<SampledToken> tokens;  ///< a span: one, or several with drafts; empty when nothing was sampled
  std::vector<std::vector<float>> logits;
  std::vector<SampledToken> scores{};  ///< one a target of StepRequest::scores
  std::optional<Error> error;          ///< this request must be failed; its neighbours are sound
};

struct StepResult {
  std::vector<StepOutput> outputs;  ///< one a request of the plan, in its order
};

using StepHandle = std::uint64_t;

/// Computes steps. `submit` may return before the work is done. While a step is in flight, one that was planned ahead
/// of its outcome may be submitted too, where `runs_ahead`; steps are waited for in their order.
class StepRunner {
 public:
  virtual ~StepRunner() = default;
  /// For the thread that makes the calls below, before the first: see `Platform::place_calling_thread`.
  virtual std::unique_ptr<ThreadPlacement> place_calling_thread() { return nullptr; }
  [[nodiscard]] virtual bool runs_ahead() const { return false; }
  virtual StepHandle submit(StepPlan plan) = 0;
  virtual StepResult wait(StepHandle handle) = 0;
  /// Forgets the steps in flight, once nothing of theirs runs any more.
  virtual void abandon() noexcept {}
};

}  // namespace krait
