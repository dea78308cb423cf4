// What the outcome of a step means for each request: its tokens, its end, its memory.

#include <algorithm>
#include <string>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/cache/prefix_index.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/step_request.h"

namespace krait {

namespace {

Error internal_error(std::string message) {
  return {.code = ErrorCode::kInternal, .message = std::move(message), .field = {}};
}

Error no_finite_logits(const RequestState& request) {
  return internal_error("the model produced no finite logits for token " + std::to_string(request.num_generated() + 1) +
                        " of the answer (NaN or infinity); the request was ended, others are not affected");
}

/// Whether `token`, the last one of the history, ends the request. Before min_tokens a stop token is banned from
/// sampling. An end token that a constraint allowed ends it always: nothing can follow a complete answer, whatever
/// min_tokens and ignore_eos say.
bool is_stop(const RequestState& request, std::int32_t token) {
  if (request.mask != nullptr && request.mask->is_end_token(token)) return true;
  const SamplingParams& sampling = request.request.sampling;
  if (request.num_generated() <= sampling.min_tokens) return false;
  return std::find(sampling.stop_token_ids.begin(), sampling.stop_token_ids.end(), token) !=
         sampling.stop_token_ids.end();
}

/// Ends what a piece itself holds, whatever became of it.
class PieceHolds {
 public:
  PieceHolds(CachePools& pools, const Piece& piece) : pools_(pools), piece_(piece) {}
  ~PieceHolds() {
    for (const PieceSnapshot& snapshot : piece_.snapshots) pools_.slots()->release(snapshot.slot);
    for (const auto& [group, page] : piece_.held_pages) pools_.pages(group).release(page);
  }
  PieceHolds(const PieceHolds&) = delete;
  PieceHolds& operator=(const PieceHolds&) = delete;

 private:
  CachePools& pools_;
  const Piece& piece_;
};

bool is_finite(const StepOutput& output) {
  return std::ranges::all_of(output.tokens, [](const SampledToken& sampled) { return sampled.token >= 0; });
}

}  // namespace

void Scheduler::update(StepResult result, TimePoint now) {
  if (in_flight_.empty()) KRAIT_BUG("the outcome of a step that was not planned");
  const std::vector<Piece> pieces = std::move(in_flight_.front());
  in_flight_.pop_front();
  learn_cost(pieces, now);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::uint64_t key = pieces[i].request->key;
    StepOutput output{.key = key, .tokens = {}, .logits = {}, .error = std::nullopt};
    if (i < result.outputs.size() && result.outputs[i].key == key) {
      output = std::move(result.outputs[i]);
    } else {
      output.error = internal_error("the runner returned no output for the request");
    }
    apply(pieces[i], std::move(output), now);
  }
}

void Scheduler::learn_cost(const std::vector<Piece>& pieces, TimePoint now) {
  int decodes = 0;
  int prefill_tokens = 0;
  for (const Piece& piece : pieces) (piece.request->is_decode() ? decodes : prefill_tokens) += piece.tokens;
  cost_.learn(decodes, prefill_tokens, std::chrono::duration<double>(now - step_start_).count());
  step_start_ = now;
}

void Scheduler::fail_step(const Error& error) {
  for (const std::vector<Piece>& pieces : std::exchange(in_flight_, {})) {
    for (const Piece& piece : pieces) {
      apply(piece, {.key = piece.request->key, .tokens = {}, .logits = {}, .error = error}, {});
    }
  }
}

void Scheduler::end_all(const std::optional<Error>& error) {
  while (RequestState* request = queues_.head()) {
    if (error) {
      fail(*request, *error);
    } else {
      finish(*request, FinishReason::kAborted, {});
    }
  }
}

void Scheduler::apply(const Piece& piece, StepOutput output, TimePoint now) {
  RequestState& request = *piece.request;
  --request.steps_in_flight;
  const PieceHolds holds(pools_, piece);
  if (request.finished) {
    if (request.steps_in_flight == 0) drop(request);
    return;
  }
  if (output.error) return fail(request, std::move(*output.error));

  const bool sampled = samples_after(piece);
  const int end = request.num_computed + piece.tokens;
  auto rows = request.logits.take(request.num_computed, end, std::move(output.logits));
  if (!rows.ok()) return fail(request, std::move(rows).error());
  Status scored = request.scores.take(request.num_computed, end, output.scores);
  if (!scored.ok()) return fail(request, std::move(scored).error());
  request.num_computed = end;
  // What led to no finite logits is of no use to others.
  if (is_finite(output)) keep_states(piece);

  TokenEvent event;
  event.logits = std::move(rows).value();
  event.prompt = std::move(output.scores);
  if (sampled) return append_tokens(request, std::move(output.tokens), std::move(event), now);
  if (request.remaining() == 0) return finish(request, FinishReason::kLength, std::move(event));
  if (!event.logits.empty() || !event.prompt.empty()) emit(request, std::move(event));
}

void Scheduler::keep_states(const Piece& piece) {
  RequestState& request = *piece.request;
  const int end = request.num_computed;
  request.cache.advance(pools_, request.history, end);
  if (pools_.slots() == nullptr || !request.cache.lists_prefixes()) return;
  for (const PieceSnapshot& snapshot : piece.snapshots) {
    request.cache.snapshot_slot(pools_, snapshot.position, snapshot.slot);
  }
  const auto wanted = snapshot_positions(config_.snapshots, request.snapshot_facts(), end - piece.tokens, end);
  if (!wanted.empty() && wanted.back() == end) {
    request.cache.snapshot_state(pools_, end);
  } else if (config_.snapshots.mode == MambaCacheMode::kAuto && end % pools_.layout().block_size == 0 &&
             end >= request.num_prompt()) {
    request.cache.keep_recent(pools_, end);
  }
}

void Scheduler::append_tokens(RequestState& request, std::vector<SampledToken> tokens, TokenEvent event,
                              TimePoint now) {
  if (tokens.empty()) return fail(request, internal_error("the runner sampled no token for the request"));
  for (SampledToken& sampled : tokens) {
    const std::int32_t token = sampled.token;
    if (token < 0) return fail(request, no_finite_logits(request));
    request.history.push_back(token);
    event.tokens.push_back(std::move(sampled));
    if (request.num_generated() == 1) request.stats.first_token = now;
    request.stats.last_token = now;
    request.stats.generated_tokens = request.num_generated();
    ++counters_.generation_tokens_total;
    if (is_stop(request, token)) {
      event.stop_token = token;
      return finish(request, FinishReason::kStop, std::move(event));
    }
    if (request.num_generated() >= request.request.sampling.max_tokens) {
      return finish(request, FinishReason::kLength, std::move(event));
    }
  }
  if (request.mask != nullptr) {
    for (const SampledToken& sampled : event.tokens) request.mask->accept(sampled.token);
  }
  emit(request, std::move(event));
}

void Scheduler::emit(RequestState& request, TokenEvent event) {
  event.stats = request.stats;
  events_.push_back({.key = request.key, .event = std::move(event)});
}

void Scheduler::fail(RequestState& request, Error error) {
  TokenEvent event;
  event.error = std::move(error);
  finish(request, FinishReason::kError, std::move(event));
}

void Scheduler::finish(RequestState& request, FinishReason reason, TokenEvent event) {
  event.finish = reason;
  emit(request, std::move(event));
  count_finish(reason);
  queues_.remove(request);
  request.finished = true;
  if (request.steps_in_flight == 0) drop(request);
}

void Scheduler::count_finish(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      ++counters_.requests_finished_stop;
      break;
    case FinishReason::kLength:
      ++counters_.requests_finished_length;
      break;
    case FinishReason::kAborted:
      ++counters_.requests_finished_abort;
      break;
    case FinishReason::kError:
      ++counters_.requests_finished_error;
      break;
  }
}

void Scheduler::drop(RequestState& request) {
  request.cache.release(pools_);
  forget_fork(request);
  requests_.erase(request.key);
}

void Scheduler::forget_fork(const RequestState& request) {
  if (request.request.fork_group.empty() || --forks_ > 0 || config_.share_prefixes) return;
  if (PrefixIndex* index = pools_.prefix_index()) index->clear();
}

}  // namespace krait
