#pragma once

#include <string_view>

#include "models/config/config_reader.h"
#include "models/layers/mamba1_config.h"

namespace krait {

/// What a family calls the settings of its Mamba-1 layers.
struct Mamba1Keys {
  std::string_view state;
  std::string_view conv_kernel;
  std::string_view expand;
  std::string_view dt_rank;  ///< an integer, or "auto": hidden / 16, rounded up
  std::string_view conv_bias;
  std::string_view proj_bias;
  std::string_view channels{};  ///< the inner size itself, which wins over `expand`; empty: never stated
};

/// Reads dimensions and biases, with the defaults of transformers. Norms and heads are the family's.
Mamba1Config read_mamba1_config(const ConfigReader& reader, int hidden_size, const Mamba1Keys& keys);

}  // namespace krait
