#pragma once

#include "models/config/config_reader.h"
#include "models/layers/attention_projections.h"

namespace krait {

/// What a family takes for a key that its config does not have.
struct AttentionDefaults {
  int kv_heads = 0;  ///< 0: as many as there are query heads
  int head_dim = 0;  ///< 0: hidden size / heads
  bool bias = false;
};

/// `num_key_value_heads`; null means as many as there are query heads, whatever `absent` is (0: as many, too).
/// They must divide the query heads.
int read_kv_heads(const ConfigReader& reader, int heads, int absent);

/// Reads `num_attention_heads`, `num_key_value_heads`, `head_dim` and `attention_bias` (of q, k, v and o) as most
/// families write them; scale is head_dim^-1/2. Rotation, windows and norms are the family's.
AttentionConfig read_attention_config(const ConfigReader& reader, int hidden_size,
                                      const AttentionDefaults& defaults = {});

}  // namespace krait
