#include "models/architectures/layer_types_reader.h"

#include <algorithm>

namespace krait {

std::vector<std::string> read_layer_types(const ConfigReader& reader, std::string_view key, int num_layers,
                                          std::initializer_list<std::string_view> valid) {
  std::vector<std::string> types = reader.strings(key);
  for (const std::string& type : types) {
    if (std::find(valid.begin(), valid.end(), type) != valid.end()) continue;
    std::string names;
    for (const std::string_view name : valid) names += (names.empty() ? "" : ", ") + std::string(name);
    reader.fail(key, "has the layer kind '" + type + "'. Valid kinds: " + names);
  }
  if (static_cast<int>(types.size()) != num_layers) {
    reader.fail(key, "has " + std::to_string(types.size()) + " entries, but `num_hidden_layers` is " +
                         std::to_string(num_layers));
  }
  return types;
}

}  // namespace krait
