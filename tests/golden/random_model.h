#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/models/config/temp_folder.h"

namespace krait::test {

/// A model folder for a config of any family: the tensors that the model asks for, in the shapes that it asks for,
/// drawn at random in float32.
class RandomModel {
 public:
  explicit RandomModel(const nlohmann::json& config);
  /// A fixture's config with other values for some keys; null removes one.
  static nlohmann::json changed_config(const std::string& fixture, const nlohmann::json& changes);
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

 private:
  using Shape = std::vector<std::int64_t>;
  void write();
  /// What loading says of the tensors so far; empty when they fit.
  [[nodiscard]] std::string complaint() const;
  [[nodiscard]] std::vector<float> draw(const std::string& name, const Shape& shape);

  TempFolder folder_;
  std::map<std::string, Shape> shapes_;
  std::mt19937 random_{17};
};

}  // namespace krait::test
