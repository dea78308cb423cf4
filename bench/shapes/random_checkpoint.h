#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tests/temp_folder.h"

namespace krait::bench {

/// Writes config.json and model.safetensors: bfloat16 tensors drawn from a fixed seed, such that states remember and
/// nothing saturates; one tensor is in memory at a time. No tokenizer. Throws StartupError for a configuration that is
/// not served, std::runtime_error when the folder cannot be written.
void write_random_checkpoint(const nlohmann::json& config, const std::string& folder);

/// Such a checkpoint, or its config.json alone, in a temporary folder that is gone with the object.
class RandomCheckpoint {
 public:
  enum class Content { kAll, kConfigAlone };
  explicit RandomCheckpoint(const nlohmann::json& config, Content content = Content::kAll);
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

 private:
  test::TempFolder folder_;
};

}  // namespace krait::bench
