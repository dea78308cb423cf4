#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "kernels/result.h"

namespace krait::server {

/// Reads an object of valid UTF-8 JSON, nested at most 64 deep, with the keys in the order they were written. Errors
/// say at which byte; `what` is the text's name in them.
Result<nlohmann::ordered_json> parse_json_object(std::string_view text, const std::string& what = "the body");
/// Compact JSON; never throws (bytes that are not UTF-8 become U+FFFD).
std::string dump_json(const nlohmann::json& value);
std::string dump_json(const nlohmann::ordered_json& value);
/// A value for an error message: short, on one line.
std::string describe_value(const nlohmann::ordered_json& value);

}  // namespace krait::server
