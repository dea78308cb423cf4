#pragma once

#include <cstdint>
#include <string_view>

#include "models/config/config_reader.h"
#include "models/layers/mamba2_mixer.h"

namespace krait {

/// What a family calls the dimensions of its Mamba-2 layers, and what transformers takes where the config is silent.
struct Mamba2Keys {
  std::string_view heads;
  std::string_view head_dim;
  std::string_view groups;
  std::string_view state;
  std::string_view conv_kernel;
  std::string_view chunk_size;
  std::string_view expand;    ///< not read with another inner size
  std::string_view norm_eps;  ///< empty: fixed at the default
  int default_heads = 128;
  int default_head_dim = 0;  ///< 0: "auto", the inner size over the heads
  int default_groups = 1;
  int default_state = 256;
  int default_chunk_size = 256;
  double default_norm_eps = 1e-5;
  /// Heads times head size; 0: `expand` times the hidden size, kAnyInnerSize: whatever the heads make.
  std::int64_t inner_size = 0;
};
constexpr std::int64_t kAnyInnerSize = -1;

/// Reads dimensions and chunk size; dt limits, biases and the norm's form are the family's. Heads and head size must
/// make the inner size. Throws StartupError.
Mamba2Config read_mamba2_config(const ConfigReader& reader, int hidden_size, const Mamba2Keys& keys);

/// dt within `time_step_limit`, by default [0, infinity).
void read_time_step_limit(const ConfigReader& reader, Mamba2Config& mamba);
/// dt within [`key`, infinity), by default 0.001, whatever `time_step_limit` says: zamba2 and nemotron_h.
void read_time_step_min(const ConfigReader& reader, Mamba2Config& mamba, std::string_view key = "time_step_min");

}  // namespace krait
