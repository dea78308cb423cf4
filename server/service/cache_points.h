#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "server/service/generation_request.h"
#include "server/service/served_model.h"

namespace krait::server {

/// Where other conversations are likely to leave this one, in tokens of its prompt, ascending: after the system message
/// with its tools, and after the last message, before the generation prompt. `text` and `ids` are the rendered
/// conversation and its tokens. The template alone knows these places, so it is rendered again with another question,
/// and without the generation prompt; a template that refuses gives no place, which costs time and no answer.
std::vector<std::int32_t> chat_cache_points(const ChatInput& chat, const ServedModel& model, const std::string& text,
                                            std::span<const std::int32_t> ids);

}  // namespace krait::server
