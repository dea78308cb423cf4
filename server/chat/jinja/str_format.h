#pragma once

#include <string>

#include "server/chat/jinja/value.h"

namespace krait::server::jinja {

/// `text.format(…)` of Python, in the sandbox: attributes and items are looked up as templates do.
std::string format_fields(RenderContext& context, const std::string& text, const CallArguments& arguments);

}  // namespace krait::server::jinja
