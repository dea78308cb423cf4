#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "kernels/result.h"
#include "server/service/session.h"

namespace krait::server {

/// Computes a context as far as it is not in the caches, and copies it out: a ContextImage, serialised. Takes its place
/// in the engine's queue like any request, and waits for the end; not for a worker's thread. Errors: the engine's.
Result<std::string> take_image(Engine& engine, const std::string& salt, const std::vector<std::int32_t>& tokens);

/// Puts a session's image into the caches. Waits for the engine's step at hand. An error costs time and nothing else:
/// what is not in the caches is computed again.
Status restore_image(Engine& engine, const Session& session);

/// Whether an uploaded session's image is whole, of this engine's model and layout, and of the session's tokens.
Status check_image(Engine& engine, const Session& session);

}  // namespace krait::server
