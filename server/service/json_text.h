#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "kernels/result.h"

namespace krait::server {

/// JSON whose objects keep the order of their keys: what a chat template prints of a tool, and what a grammar makes of
/// a schema, follows the order in which the client wrote it.
using Json = nlohmann::ordered_json;

/// Reads a request's body: an object of valid UTF-8 JSON, nested at most 64 deep, of at most 1,024 fields. Takes time
/// linear in the text. Errors say at which byte; `what` is the text's name in them.
Result<Json> parse_json_object(std::string_view text, const std::string& what = "the body");
/// The same for any value of any size.
Result<Json> parse_json(std::string_view text, const std::string& what);
/// Compact JSON; never throws (bytes that are not UTF-8 become U+FFFD).
std::string dump_json(const Json& value);
/// A value for an error message: short, on one line.
std::string describe_value(const Json& value);

}  // namespace krait::server
