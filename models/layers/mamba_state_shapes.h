#pragma once

#include <cstdint>
#include <vector>

#include "models/layers/cache_spec.h"
#include "models/layers/layer_context.h"

namespace krait {

/// The state of one request in one layer, for every mamba type, from its dimensions (all counts are this rank's). A
/// convolution keeps its last kernel - 1 inputs, channel-last. Recurrent shapes are the papers':

/// Mamba-1 (Gu and Dao, 2023): [intermediate, state].
std::vector<StateTensorSpec> mamba1_state(const LayerContext& context, std::int64_t intermediate, std::int64_t state,
                                          std::int64_t conv_kernel);
/// Mamba-2 (Dao and Gu, 2024): [heads, head_dim, state].
std::vector<StateTensorSpec> mamba2_state(const LayerContext& context, std::int64_t heads, std::int64_t head_dim,
                                          std::int64_t groups, std::int64_t state, std::int64_t conv_kernel);
/// Gated short convolution (LFM2): no recurrent tensor.
std::vector<StateTensorSpec> short_conv_state(const LayerContext& context, std::int64_t channels,
                                              std::int64_t conv_kernel);
/// Lightning attention (MiniMax-Text-01): [heads, head_dim, head_dim].
std::vector<StateTensorSpec> linear_attention_state(const LayerContext& context, std::int64_t heads,
                                                    std::int64_t head_dim);
/// Gated delta net (Yang et al., 2024): [value heads, value dim, key dim], the key dimension innermost.
std::vector<StateTensorSpec> gdn_attention_state(const LayerContext& context, std::int64_t key_heads,
                                                 std::int64_t value_heads, std::int64_t key_dim, std::int64_t value_dim,
                                                 std::int64_t conv_kernel);
/// Kimi delta attention: [heads, head_dim, head_dim]; one convolution over q, k and v.
std::vector<StateTensorSpec> kda_attention_state(const LayerContext& context, std::int64_t heads, std::int64_t head_dim,
                                                 std::int64_t conv_kernel);

}  // namespace krait
