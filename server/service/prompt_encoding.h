#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/result.h"
#include "server/service/generation_request.h"
#include "server/service/served_model.h"

namespace krait::server {

/// Renders a conversation with the model's template. Fails by name for a model without tokenizer or template.
Result<std::string> render_chat(const ChatInput& chat, const ServedModel& model);
/// Encodes a text; `field` is what the caller calls it.
Result<std::vector<std::int32_t>> encode_text(const std::string& text, const ServedModel& model,
                                              bool add_special_tokens, const std::string& field);
/// The error for what takes a tokenizer where there is none.
Error no_tokenizer(const std::string& field);

}  // namespace krait::server
