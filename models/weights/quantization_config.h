#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace krait {

class ConfigReader;

/// `quantization_config` of a config.json: how the checkpoint's matrices are quantised. Read are 8-bit floats, and
/// integers of 4 and 8 bits as compressed-tensors, GPTQ and AWQ keep them; which matrices are quantised, and into how
/// many bits, the tensors themselves say.
struct QuantizationConfig {
  std::string method;   ///< `quant_method`: "fp8", "compressed-tensors", "gptq", …
  std::string refusal;  ///< why this version cannot load it; empty: it can
  /// Rows and columns that share a scale where scales lie in blocks.
  std::int64_t block_rows = 128;
  std::int64_t block_columns = 128;
  /// Inputs that share a scale of integers; 0: all of a row, or as the scales' shape says.
  std::int64_t group_size = 0;
  /// Some matrices are integers.
  bool integers = false;
  /// GPTQ's zero points are kept less one, save in its second format.
  bool zeros_less_one = true;
};

/// nullopt for a checkpoint that is not quantised. A method that is not read is in `refusal`, because a plan needs only
/// shapes; throws StartupError for values that make no sense.
std::optional<QuantizationConfig> read_quantization_config(const ConfigReader& reader);

}  // namespace krait
