#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "server/chat/jinja/value.h"

namespace krait::server::jinja {

/// The arguments of Python's json.dumps that templates use.
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  ///< what one level is indented by; without it all on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

/// What json.dumps writes; fails for values that are not JSON. Counts what it writes.
std::string to_json(RenderContext& context, const Value& value, const JsonStyle& style);

}  // namespace krait::server::jinja
