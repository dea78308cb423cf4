#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace krait::bench {

/// The names of the folders in bench/shapes/configs, sorted.
std::vector<std::string> published_shapes();

/// The config.json of one of them. Throws std::runtime_error for another name, with the valid ones.
nlohmann::json published_shape(const std::string& name);

}  // namespace krait::bench
