#include "golden_file.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/weights/safetensors_file.h"

namespace krait::test {
namespace {

std::vector<std::int32_t> ids_of(const TensorView& view) {
  const auto* begin = view.as<const std::int64_t>();
  return {begin, begin + view.shape.elements()};
}

std::vector<std::vector<float>> rows_of(const TensorView& view) {
  std::vector<std::vector<float>> rows;
  for (std::int64_t row = 0; row < view.rows(); ++row) {
    rows.emplace_back(view.row<float>(row), view.row<float>(row) + view.columns());
  }
  return rows;
}

}  // namespace

std::vector<std::string> fixture_folders() {
  const char* wanted = std::getenv("KRAIT_FIXTURES");
  const std::string only = wanted == nullptr ? "" : "," + std::string(wanted) + ",";
  std::vector<std::string> folders;
  for (const auto& entry : std::filesystem::directory_iterator(KRAIT_SOURCE_DIR "/tests/golden/models")) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_directory() || (!only.empty() && only.find("," + name + ",") == std::string::npos)) continue;
    folders.push_back("tests/golden/models/" + name);
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

Golden read_golden(const std::string& folder) {
  const std::string path = std::string(KRAIT_SOURCE_DIR) + "/" + folder;
  const auto description = nlohmann::json::parse(std::ifstream(path + "/golden.json"));
  const SafetensorsFile file(path + "/golden.safetensors");
  Golden golden;
  golden.tolerance = description.at("recommended_atol").get<float>();
  for (const auto& prompt : description.at("prompts")) {
    const std::string prefix = "prompt_" + std::to_string(prompt.at("index").get<int>()) + ".";
    const auto view = [&](const std::string& name) { return file.view(file.entries().at(prefix + name)); };
    const TensorView margin = view("generated_margin");
    golden.prompts.push_back({.ids = ids_of(view("input_ids")),
                              .logits = rows_of(view("logits")),
                              .first_position = prompt.at("logits_first_position").get<int>(),
                              .generated = ids_of(view("generated_ids")),
                              .generated_logits = rows_of(view("generated_logits")),
                              .margins = {margin.as<float>(), margin.as<float>() + margin.shape.elements()}});
  }
  return golden;
}

}  // namespace krait::test
