#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "models/config/config_reader.h"

namespace krait {

/// The kind of every layer, as `key` lists them. StartupError when the list has another length than the model, or a
/// kind that is not in `valid`.
std::vector<std::string> read_layer_types(const ConfigReader& reader, std::string_view key, int num_layers,
                                          std::initializer_list<std::string_view> valid);

}  // namespace krait
