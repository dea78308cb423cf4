#pragma once

#include "engine/runner/step_plan.h"
#include "engine/scheduler/batch_planner.h"

namespace krait {

/// Whether the runner samples after this piece: it ends the history, and a token may follow.
[[nodiscard]] bool samples_after(const Piece& piece);

/// A piece that is planned ahead as the runner sees it: the decode of a token that is being sampled.
[[nodiscard]] StepRequest make_step_request_ahead(const Piece& piece);

/// A piece as the runner sees it. Memory for its tokens must be held already.
[[nodiscard]] StepRequest make_step_request(const Piece& piece);

}  // namespace krait
