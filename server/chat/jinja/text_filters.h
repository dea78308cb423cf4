#pragma once

#include <string_view>

#include "server/chat/jinja/builtins.h"

namespace krait::server::jinja {

/// The part of find_filter that lays text out or encodes it.
Filter find_text_filter(std::string_view name);

}  // namespace krait::server::jinja
