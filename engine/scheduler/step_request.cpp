#include "engine/scheduler/step_request.h"

#include <algorithm>

namespace krait {

bool samples_after(const Piece& piece) {
  const RequestState& request = *piece.request;
  return piece.tokens == request.remaining() && request.num_generated() < request.request.sampling.max_tokens;
}

StepRequest make_step_request_ahead(const Piece& piece) {
  const RequestState& request = *piece.request;
  return {.key = request.key,
          .tokens = {0},
          .token_source = piece.source,
          .num_computed = request.num_computed + 1,
          .is_decode = true,
          .state_read = request.cache.state_write(),
          .state_write = request.cache.state_write_ahead(),
          .pages = request.cache.pages(),
          .num_replayed = 0,
          .sample = request.sample_row(1)};
}

StepRequest make_step_request(const Piece& piece) {
  const RequestState& request = *piece.request;
  const auto begin = request.history.begin() + request.num_computed;
  StepRequest step{
      .key = request.key,
      .tokens = {begin, begin + piece.tokens},
      .num_computed = request.num_computed,
      .is_decode = request.is_decode(),
      .state_read = request.cache.state_read(),
      .state_write = request.cache.state_write(),
      .pages = request.cache.pages(),
      .num_replayed = std::clamp(request.cache.shared_tokens() - request.num_computed, 0, piece.tokens),
      .sample = std::nullopt,
      .logits = request.logits.wanted(request.num_computed, request.num_computed + piece.tokens),
      .scores = request.scores.wanted(request.num_computed, request.num_computed + piece.tokens, request.history),
      .mask = nullptr};
  for (const PieceSnapshot& snapshot : piece.snapshots) step.snapshots.emplace_back(snapshot.position, snapshot.slot);
  if (samples_after(piece)) {
    step.sample = request.sample_row();
    step.mask = request.mask.get();
  }
  return step;
}

}  // namespace krait
