#pragma once

#include <nlohmann/json_fwd.hpp>

#include "server/chat/jinja/value.h"

namespace krait::server::jinja {

/// A JSON value as Python's json.loads gives it. Fails for integers above 64 bits, strings that are not UTF-8 and too
/// deep nesting.
Value from_json(const nlohmann::ordered_json& json);

}  // namespace krait::server::jinja
