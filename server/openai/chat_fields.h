#pragma once

#include "server/openai/field_reader.h"
#include "server/service/generation_request.h"

namespace krait::server {

/// Reads the fields that shape a chat's prompt, of a chat request and of /tokenize: messages, tools, documents,
/// add_generation_prompt, continue_final_message, chat_template_kwargs, reasoning_effort. A template in the request
/// (`chat_template`) is refused: who may send requests may not also say what a template's interpreter runs.
ChatInput read_chat_input(FieldReader& reader);

}  // namespace krait::server
