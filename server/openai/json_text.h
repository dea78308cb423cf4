#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "kernels/result.h"

namespace krait::server {

/// Reads a request's body: an object of valid UTF-8 JSON, nested at most 64 deep. Errors say at which byte.
Result<nlohmann::json> parse_json_object(std::string_view body);
/// The same with the keys in the order they were written; `what` is the text's name in errors ("the line").
Result<nlohmann::ordered_json> parse_ordered_json_object(std::string_view text, const std::string& what);
/// Compact JSON; never throws (bytes that are not UTF-8 become U+FFFD).
std::string dump_json(const nlohmann::json& value);
/// A value for an error message: short, on one line.
std::string describe_value(const nlohmann::json& value);

}  // namespace krait::server
