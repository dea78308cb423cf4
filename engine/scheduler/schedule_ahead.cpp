// Planning a step before the outcome of the one in flight is known, so that the device need not wait for the host.

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/step_request.h"

namespace krait {
namespace {

/// Whether the host must have seen a token of the request before it can say how the next one is sampled, or has to show
/// what the model says of it.
bool needs_host(const RequestState& request) {
  const SamplingParams& sampling = request.request.sampling;
  const bool penalties =
      sampling.repetition_penalty != 1.0F || sampling.presence_penalty != 0.0F || sampling.frequency_penalty != 0.0F;
  const int position = request.num_computed + 1;
  return penalties || request.mask != nullptr || request.logits.wanted(position, position + 1) != PromptLogits::kNone;
}

/// Whether the token that is being sampled is the last one that it may have.
bool ends_for_certain(const RequestState& request) {
  return request.finished || request.num_generated() + 1 >= request.request.sampling.max_tokens;
}

}  // namespace

StepPlan Scheduler::schedule_ahead(TimePoint now) {
  if (in_flight_.size() != 1) KRAIT_BUG("a step is planned ahead of none, or of two");
  expire(now);
  if (!may_plan_ahead()) return {};
  std::vector<Piece> pieces = decodes_ahead();
  if (pieces.empty()) return {};
  for (Piece& piece : pieces) {
    if (secure_ahead(piece)) continue;
    // What was added stays with the requests, for the step that is planned otherwise.
    for (const Piece& each : pieces) {
      for (const auto& [group, page] : each.held_pages) pools_.pages(group).release(page);
    }
    return {};
  }
  return make_plan(std::move(pieces), now);
}

/// Whether the next step is certain to be the running requests' decodes.
bool Scheduler::may_plan_ahead() const {
  const std::vector<Piece>& step = in_flight_.front();
  const auto is_plain_decode = [](const Piece& piece) {
    return piece.request->finished || (piece.request->is_decode() && piece.tokens == 1 && samples_after(piece) &&
                                       (ends_for_certain(*piece.request) || !needs_host(*piece.request)));
  };
  if (!std::ranges::all_of(step, is_plain_decode)) return false;
  const auto in_step = [](const RequestState* request) { return request->steps_in_flight > 0; };
  if (!std::ranges::all_of(queues_.running, in_step)) return false;
  if (queues_.waiting.empty()) return true;
  // All seats are taken, by requests that none of those who wait may push out.
  const auto seats = static_cast<std::size_t>(std::max(config_.max_num_seqs, 1));
  return queues_.running.size() >= seats &&
         (*queues_.running.rbegin())->request.priority <= (*queues_.waiting.begin())->request.priority;
}

std::vector<Piece> Scheduler::decodes_ahead() const {
  std::vector<Piece> pieces;
  const std::vector<Piece>& step = in_flight_.front();
  for (std::size_t i = 0; i < step.size(); ++i) {
    if (ends_for_certain(*step[i].request)) continue;
    pieces.push_back({.request = step[i].request, .tokens = 1, .source = static_cast<int>(i)});
  }
  return pieces;
}

/// Memory for one token more than the step in flight computes, from what is free.
bool Scheduler::secure_ahead(Piece& piece) {
  RequestCache& cache = piece.request->cache;
  const int end = piece.request->num_computed + 1;
  // At a block's border the outcome of the step in flight may list the state, and put a page of the same content in the
  // place of the block's.
  const bool at_border = end % pools_.layout().block_size == 0 && cache.lists_prefixes();
  if (!cache.secure_state_ahead(pools_, at_border) || cache.grow(pools_, end + 1) <= end) return false;
  if (!at_border) return true;
  const auto block = static_cast<std::size_t>(end / pools_.layout().block_size - 1);
  for (std::size_t group = 0; group < cache.pages().size(); ++group) {
    const std::int32_t page = cache.pages()[group][block];
    pools_.pages(group).retain(page);
    piece.held_pages.emplace_back(group, page);
  }
  return true;
}

}  // namespace krait
