#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/dtype.h"
#include "models/config/rope_config.h"

namespace krait {

class ConfigReader;

/// What every architecture has. The rest of a config is read by the architecture itself (`models/architectures/`).
struct ModelConfig {
  std::string file;          ///< for messages
  std::string architecture;  ///< `architectures[0]`, for example "GraniteMoeHybridForCausalLM"
  std::string model_type;
  int hidden_size = 0;
  int vocab_size = 0;
  int num_layers = 0;
  /// `max_position_embeddings` (or `model_max_length`, as Kimi calls it); nullopt for models without a bound (Mamba-2).
  std::optional<int> max_position_embeddings;
  bool tie_word_embeddings = false;
  std::optional<DType> dtype;  ///< of the checkpoint, as stated
  /// What the checkpoint states for SSM states (`mamba_ssm_dtype`, `mamba_ssm_cache_dtype`).
  std::optional<DType> ssm_state_dtype;
  std::vector<std::int32_t> eos_token_ids;  ///< generation_config.json wins over config.json
};

/// The object that describes the language model: `text_config` where a multimodal model's config keeps it there, else
/// the config itself.
ConfigReader language_model_reader(const ConfigReader& reader);

/// Reads the common part, of a multimodal model that of its language model. `folder` is the model's folder (for
/// generation_config.json); throws StartupError. Sizes that no model has (a hidden size of 10^18) are refused here,
/// before anything is allocated by them. `tie_word_embeddings_default` holds when the config is silent: false in
/// transformers for llama, mamba2 and granitemoehybrid, true for mamba, falcon_mamba and gemma.
ModelConfig read_model_config(const ConfigReader& reader, const std::string& folder,
                              bool tie_word_embeddings_default = false);

}  // namespace krait
