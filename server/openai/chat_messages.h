#pragma once

#include "kernels/result.h"
#include "server/service/json_text.h"

namespace krait::server {

/// Checks `messages` and brings it into the form that chat templates expect: every content is a string or a list of
/// text parts, and the arguments of tool calls are objects. Errors name the
/// message and the field, as "messages[1].content".
Result<Json> normalise_messages(const Json& messages);

}  // namespace krait::server
