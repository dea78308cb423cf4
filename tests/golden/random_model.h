#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tests/temp_folder.h"

namespace krait::test {

/// A model folder for a config of any family: the tensors that the model asks for, in the shapes that it asks for,
/// drawn at random in float32.
class RandomModel {
 public:
  explicit RandomModel(const nlohmann::json& config);
  /// A fixture's config with other values for some keys (merged, RFC 7396); null removes one.
  static nlohmann::json changed_config(const std::string& fixture, const nlohmann::json& changes);
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

 private:
  TempFolder folder_;
};

}  // namespace krait::test
