#pragma once

#include "server/openai/field_reader.h"
#include "server/service/generation_request.h"

namespace krait::server {

/// The `tools` of a request: a list of {"type": "function", "function": {"name", "description", "parameters",
/// "strict"}}, with names as OpenAI wants them (1 to 64 letters, digits, underscores and dashes, each name once). Null
/// when there are none. Errors name the place, as "tools[1].function.name".
Json read_tools(FieldReader& reader);

/// `tool_choice` ("none", "auto", "required", or {"type": "function", "function": {"name"}}) against the tools, and
/// `parallel_tool_calls`.
void read_tool_choice(FieldReader& reader, GenerationRequest& request);

}  // namespace krait::server
