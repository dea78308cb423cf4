#include "models/architectures/linear_layers.h"

#include <string>

#include "models/architectures/layer_types_reader.h"

namespace krait {

std::vector<bool> read_linear_layers(const ConfigReader& reader, int num_layers, int interval) {
  std::vector<bool> linear;
  if (!reader.has("layer_types")) {
    for (int i = 1; i <= num_layers; ++i) linear.push_back(i % interval != 0);
    return linear;
  }
  for (const std::string& kind :
       read_layer_types(reader, "layer_types", num_layers, {"linear_attention", "full_attention"})) {
    linear.push_back(kind == "linear_attention");
  }
  return linear;
}

}  // namespace krait
