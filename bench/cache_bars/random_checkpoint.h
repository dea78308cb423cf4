#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace krait::bench {

/// granite-4.0-h-350m's configuration: 32 layers of which 4 attend, 48 Mamba-2 heads of 32 with states of 128, hidden
/// 768, an MLP of 2,048, a vocabulary of 100,352: 340 M parameters, 22 MiB of state a request. The numbers that decide
/// what it costs are those of its model card (embedding 768, 4 attention and 28 Mamba-2 layers, 12 query and 4 KV heads
/// of 64, MLP 2,048, 32 K tokens); where the attention layers stand and the multipliers are as its family has them and
/// cost nothing.
nlohmann::json shape_350m();

/// The same kind of model, of 4 layers and 64 columns, where only tokens are counted.
nlohmann::json shape_small();

/// A checkpoint of this configuration in a temporary folder: bfloat16 tensors drawn from a fixed seed, no tokenizer.
/// The folder is gone with the object.
class RandomCheckpoint {
 public:
  enum class Content { kAll, kConfigAlone };
  explicit RandomCheckpoint(const nlohmann::json& config, Content content = Content::kAll);
  ~RandomCheckpoint();
  RandomCheckpoint(const RandomCheckpoint&) = delete;
  RandomCheckpoint& operator=(const RandomCheckpoint&) = delete;
  [[nodiscard]] const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
};

}  // namespace krait::bench
