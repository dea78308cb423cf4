#pragma once

#include <string_view>
#include <unordered_map>

#include "server/chat/jinja/builtins.h"

namespace krait::server::jinja {

/// The methods of str that templates may call, by name.
const std::unordered_map<std::string_view, Method>& string_methods();

}  // namespace krait::server::jinja
