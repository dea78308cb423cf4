#pragma once

#include <string>

#include "kernels/result.h"
#include "server/service/json_text.h"

namespace krait::server {

/// Checks the `tool_calls` of an assistant's message: a list of {"id", "type": "function", "function": {"name",
/// "arguments"}}. The API has arguments as JSON text; templates print the value, so they become the object that the
/// text holds (as in vLLM; an empty text is an object without members). `at` is the place, as "messages[2].tool_calls".
Result<Json> normalise_tool_calls(const std::string& at, const Json& calls);

}  // namespace krait::server
