#pragma once

#include <string_view>

#include "server/chat/jinja/node.h"

namespace krait::server::jinja {

/// Parses a template. Throws TemplateError: a syntax error, or a construct that is not implemented, with its line.
Body parse_template(std::string_view source);

}  // namespace krait::server::jinja
