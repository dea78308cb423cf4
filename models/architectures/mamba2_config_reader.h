#pragma once

#include <string_view>

#include "models/config/config_reader.h"
#include "models/layers/mamba2_mixer.h"

namespace krait {

/// What a family calls the dimensions of its Mamba-2 layers.
struct Mamba2Keys {
  std::string_view heads;
  std::string_view head_dim;
  std::string_view groups;
  std::string_view state;
  std::string_view conv_kernel;
  std::string_view chunk_size;
  std::string_view expand;
  std::string_view norm_eps;
};

/// Reads dimensions, chunk size and `time_step_limit`; biases are the family's. Heads and head size must make expand *
/// hidden.
Mamba2Config read_mamba2_config(const ConfigReader& reader, int hidden_size, const Mamba2Keys& keys);

}  // namespace krait
