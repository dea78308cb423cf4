#pragma once

#include <nlohmann/json.hpp>

#include "kernels/result.h"

namespace krait::server {

/// Checks `messages` and brings it into the form that chat templates expect: every content is a string (the text parts
/// of a list are joined with newlines, as vLLM does). Errors name the message and the field, as "messages[1].content".
Result<nlohmann::ordered_json> normalise_messages(const nlohmann::ordered_json& messages);

}  // namespace krait::server
