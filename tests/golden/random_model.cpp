#include "random_model.h"

#include <cmath>
#include <fstream>
#include <map>
#include <random>
#include <vector>

#include "kernels/cpu/cpu_platform.h"
#include "models/model.h"
#include "models/weights/weight_loader.h"
#include "tests/models/weights/safetensors_bytes.h"

namespace krait::test {
namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Spread so that every term matters and nothing saturates.
std::vector<float> draw(const std::string& name, const Shape& shape, std::mt19937& random) {
  float low = -0.5F;
  float high = 0.5F;
  if (contains(name, "norm")) {
    low = 0.5F;
    high = 1.5F;
  } else if (contains(name, "A_log")) {
    low = 0.0F;
    high = 2.0F;
  } else if (contains(name, "dt_bias") || contains(name, "dt_proj.bias") || contains(name, "dt_proj_bias")) {
    low = -4.0F;
    high = -1.0F;
  } else if (shape.rank() > 1) {
    high = std::sqrt(3.0F / static_cast<float>(shape[shape.rank() - 1]));
    low = -high;
  }
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(static_cast<std::size_t>(shape.elements()));
  for (float& value : values) value = uniform(random);
  return values;
}

/// A safetensors file of the tensors, drawn in the order of their names.
std::string draw_file(const std::map<std::string, Shape>& tensors) {
  std::mt19937 random(17);
  nlohmann::json header = nlohmann::json::object();
  std::string data;
  for (const auto& [name, shape] : tensors) {
    const std::vector<float> values = draw(name, shape, random);
    std::vector<std::int64_t> dims;
    for (int axis = 0; axis < shape.rank(); ++axis) dims.push_back(shape[axis]);
    const std::size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    header[name] = {{"dtype", "F32"}, {"shape", dims}, {"data_offsets", {begin, data.size()}}};
  }
  return safetensors_bytes(header.dump(), data);
}

}  // namespace

RandomModel::RandomModel(const nlohmann::json& config) {
  folder_.write("config.json", config.dump());
  CpuPlatform platform(CpuOptions{.threads = 1});
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(folder(), context);
  WeightLoader planner(DType::kFloat32);
  model->load_weights(planner, platform, 1);
  folder_.write("model.safetensors", draw_file(planner.taken()));
}

nlohmann::json RandomModel::changed_config(const std::string& fixture, const nlohmann::json& changes) {
  std::ifstream file(std::string(KRAIT_SOURCE_DIR) + "/tests/golden/models/" + fixture + "/config.json");
  nlohmann::json config = nlohmann::json::parse(file);
  config.merge_patch(changes);
  return config;
}

}  // namespace krait::test
