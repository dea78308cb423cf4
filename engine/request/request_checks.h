#pragma once

#include "engine/engine.h"
#include "engine/request/engine_request.h"
#include "kernels/result.h"

namespace krait {

/// What Engine::submit refuses whatever else is running: no prompt, token ids outside the vocabulary, a
/// constraint for another vocabulary, prompt and answer over max_model_len, more cache than there is. Reads only what
/// never changes; callable from any thread.
[[nodiscard]] Status check_request(const EngineRequest& request, const EngineConfig& config, const CachePools& pools);

}  // namespace krait
