#include "bench/shapes/published_shapes.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace krait::bench {

std::vector<std::string> published_shapes() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(KRAIT_SHAPES_DIR)) {
    names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

nlohmann::json published_shape(const std::string& name) {
  const std::vector<std::string> names = published_shapes();
  if (std::ranges::find(names, name) == names.end()) {
    std::string valid;
    for (const std::string& known : names) valid += (valid.empty() ? "" : ", ") + known;
    throw std::runtime_error("there is no shape '" + name + "'. Valid: " + valid);
  }
  std::ifstream in(std::string(KRAIT_SHAPES_DIR) + "/" + name + "/config.json");
  return nlohmann::json::parse(in);
}

}  // namespace krait::bench
