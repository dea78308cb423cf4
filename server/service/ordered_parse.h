#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace krait::server {

/// nlohmann::ordered_json::parse in linear time: its own looks through all keys of an object for each one, so that a
/// body of some megabytes would take hours. Of a key that comes twice, the last value stands at the place of the first,
/// as in Python. Throws nlohmann::json::parse_error.
nlohmann::ordered_json parse_ordered_json(std::string_view text);

}  // namespace krait::server
