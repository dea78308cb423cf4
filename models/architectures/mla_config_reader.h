#pragma once

#include "models/layers/mla_attention.h"

namespace krait {

class ConfigReader;

/// Reads a latent attention layer's dimensions under the names that deepseek_v3, kimi_linear and bailing_hybrid share.
/// `rotates`: with the config's rotary settings over `qk_rope_head_dim` channels, in pairs (2i, 2i + 1) unless
/// `rope_interleave` is false, and their factor in the attention's scale. Throws StartupError.
MlaConfig read_mla_config(const ConfigReader& reader, int hidden_size, bool rotates);

}  // namespace krait
