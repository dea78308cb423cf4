#pragma once

#include <string>

#include "engine/engine.h"

namespace krait::server {

/// One line of `krait logits`. In: {"ids": […], "generate": N, "positions": "all" | "last"}, the last two optional (0,
/// "all"). Out: {"logits": [[…]], "tokens": […], "logprobs": […]}: float32 logits of every prompt position or of the
/// last, then N greedy tokens with their log-probabilities, end-of-sequence ignored; nine significant digits, which is
/// every bit of a float32. Extra:
/// {"generated_logits": true} adds the logits of every generated token under that name. Anything wrong: {"error": "…"}.
std::string answer_logits_line(const std::string& line, Engine& engine, const std::string& request_id);

}  // namespace krait::server
