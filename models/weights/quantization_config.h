#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace krait {

class ConfigReader;

/// `quantization_config` of a config.json: how the checkpoint's matrices are quantised. Only 8-bit floats are read.
struct QuantizationConfig {
  std::string method;   ///< `quant_method`: "fp8", "compressed-tensors", "gptq", …
  std::string refusal;  ///< why this version cannot load it; empty: it can
  /// Rows and columns that share a scale where scales lie in blocks.
  std::int64_t block_rows = 128;
  std::int64_t block_columns = 128;
};

/// nullopt for a checkpoint that is not quantised. A method that is not read is in `refusal`, because a plan needs only
/// shapes; throws StartupError for values that make no sense.
std::optional<QuantizationConfig> read_quantization_config(const ConfigReader& reader);

}  // namespace krait
