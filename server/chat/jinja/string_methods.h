#pragma once

#include <string_view>
#include <unordered_map>

#include "server/chat/jinja/builtins.h"

namespace krait::server::jinja {

/// The text in a field of `width` characters: < left, > right, ^ in the middle.
std::string justified(RenderContext& context, const std::string& text, std::int64_t width, std::string_view fill,
                      char align);

/// The methods of str that templates may call, by name.
const std::unordered_map<std::string_view, Method>& string_methods();

}  // namespace krait::server::jinja
