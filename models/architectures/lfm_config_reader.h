#pragma once

#include "models/config/config_reader.h"
#include "models/layers/attention_projections.h"
#include "models/layers/short_conv_mixer.h"

namespace krait {

/// What the attention layers of LFM2, LFM2-MoE and LFM3 have in common, without rotation: grouped heads, q and k normed
/// a head. Tensor names are LFM3's.
AttentionConfig read_lfm_attention_config(const ConfigReader& reader, int hidden_size);
/// `conv_L_cache` and `conv_bias`.
ShortConvConfig read_short_conv_config(const ConfigReader& reader, int hidden_size);
/// `norm_eps`, of every norm.
float read_lfm_norm_eps(const ConfigReader& reader);
/// `tie_embedding`, the older key, else `tie_word_embeddings`; true where neither is there.
bool read_lfm_tie_embedding(const ConfigReader& reader);

}  // namespace krait
