#include "random_model.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <sstream>

#include "kernels/cpu/cpu_platform.h"
#include "models/model.h"
#include "models/weights/weight_loader.h"
#include "tests/models/weights/safetensors_bytes.h"

namespace krait::test {
namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// The names of one line of a loader's complaint, or its "name (found [1], expected [2, 3])".
std::vector<std::string> items_after(const std::string& complaint, const std::string& title) {
  std::vector<std::string> items;
  const std::size_t at = complaint.find(title);
  if (at == std::string::npos) return items;
  const std::size_t begin = at + title.size();
  std::string line = complaint.substr(begin, complaint.find('\n', begin) - begin);
  line = line.substr(0, line.find(" and "));
  int depth = 0;
  std::string item;
  for (const char c : line) {
    depth += (c == '(' || c == '[') ? 1 : 0;
    depth -= (c == ')' || c == ']') ? 1 : 0;
    if (c == ',' && depth == 0) {
      items.push_back(std::move(item));
      item.clear();
    } else if (c != ' ' || depth > 0) {
      item += c;
    }
  }
  if (!item.empty()) items.push_back(std::move(item));
  return items;
}

std::vector<std::int64_t> expected_shape(const std::string& item) {
  const std::size_t begin = item.rfind('[') + 1;
  std::istringstream numbers(item.substr(begin, item.rfind(']') - begin));
  std::vector<std::int64_t> shape;
  for (std::string number; std::getline(numbers, number, ',');) shape.push_back(std::stoll(number));
  return shape;
}

}  // namespace

RandomModel::RandomModel(const nlohmann::json& config) {
  folder_.write("config.json", config.dump());
  // The loader names what is missing, then what has another shape than it wants, some at a time.
  for (int round = 0; round < 100; ++round) {
    write();
    const std::string said = complaint();
    if (said.empty()) return;
    for (const std::string& name : items_after(said, " missing: ")) shapes_[name] = {1};
    for (const std::string& item : items_after(said, " of another shape: ")) {
      shapes_[item.substr(0, item.find('('))] = expected_shape(item);
    }
  }
  FAIL("no checkpoint fits this config: " << complaint());
}

nlohmann::json RandomModel::changed_config(const std::string& fixture, const nlohmann::json& changes) {
  std::ifstream file(std::string(KRAIT_SOURCE_DIR) + "/tests/golden/models/" + fixture + "/config.json");
  nlohmann::json config = nlohmann::json::parse(file);
  config.merge_patch(changes);
  return config;
}

std::string RandomModel::complaint() const {
  CpuPlatform platform(CpuOptions{.threads = 1});
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(folder(), context);
  const Checkpoint checkpoint(folder());
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  model->load_weights(loader, platform, 1);
  try {
    loader.finish();
  } catch (const StartupError& error) {
    return error.what();
  }
  return "";
}

// Spread so that every term matters and nothing saturates.
std::vector<float> RandomModel::draw(const std::string& name, const Shape& shape) {
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
  } else if (shape.size() > 1) {
    high = std::sqrt(3.0F / static_cast<float>(shape.back()));
    low = -high;
  }
  std::uniform_real_distribution<float> uniform(low, high);
  std::int64_t elements = 1;
  for (const std::int64_t dim : shape) elements *= dim;
  std::vector<float> values(static_cast<std::size_t>(elements));
  for (float& value : values) value = uniform(random_);
  return values;
}

void RandomModel::write() {
  nlohmann::json header = nlohmann::json::object();
  std::string data;
  for (const auto& [name, shape] : shapes_) {
    const std::vector<float> values = draw(name, shape);
    const std::size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
  }
  folder_.write("model.safetensors", safetensors_bytes(header.dump(), data));
}

}  // namespace krait::test
