#pragma once

#include <string_view>

#include "server/chat/jinja/builtins.h"

namespace krait::server::jinja {

/// The part of find_filter that is about lists and dicts.
Filter find_list_filter(std::string_view name);

}  // namespace krait::server::jinja
