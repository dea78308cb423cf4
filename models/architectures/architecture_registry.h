#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "models/config/config_reader.h"
#include "models/model.h"

namespace krait {

/// One family: the Hugging Face class names that it serves, and how to build it from its config.
struct Architecture {
  std::string_view hf_name;      ///< `architectures[0]`
  std::string_view model_types;  ///< what `model_type` may be, the usual one first, with spaces between them
  std::string_view family;       ///< as people call it
  std::string_view kinds;        ///< the layer kinds that it may have, for example "mamba2 + full_attention"
  /// Gets the language model's part of the config (`language_model_reader`).
  std::unique_ptr<Model> (*make)(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
  bool verified = true;  ///< a reference implementation certifies the numbers
  /// What a config without `tie_word_embeddings` means in transformers.
  bool tie_word_embeddings = false;
};

/// Every architecture of this version, in alphabetical order.
std::span<const Architecture> architectures();

}  // namespace krait
