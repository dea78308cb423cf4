#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/packed_weight.h"

namespace krait {

/// Weights that stay unquantised: those of a module ("lm_head", "model.layers.0.mlp") and of all inside it.
struct KeepRule {
  std::string module;
  DType dtype = DType::kBFloat16;  ///< that they are written in
};

struct QuantizeOptions {
  std::string source;  ///< a model folder
  std::string target;  ///< a folder that does not exist or is empty
  Quantization weights = Quantization::kInt8;
  int group_size = 0;  ///< 0: the default of the form
  std::vector<KeepRule> keep{};
  int threads = 0;
  std::size_t shard_bytes = std::size_t{5} << 30U;
  std::function<void(std::size_t done, std::size_t total)> on_progress{};  ///< tensors; may be empty
};

struct QuantizeResult {
  int quantized = 0;  ///< matrices
  int others = 0;     ///< tensors that stay as they are
  std::size_t bytes_before = 0;
  std::size_t bytes_after = 0;
};

/// `krait quantize`: writes a checkpoint in the Hugging Face layout whose matrices are integers, in the names of
/// compressed-tensors ("pack-quantized", symmetric, scales a group), with a `quantization_config` that says so; all
/// other files of the source are copied. The integers are those that `--quantization` makes at load. Which matrices are
/// weights of products the model itself says; stacks of experts, which the format has no name for, stay as they are.
/// Throws StartupError.
QuantizeResult quantize_checkpoint(const QuantizeOptions& options);

}  // namespace krait
