#include "models/layers/mamba_state_shapes.h"

namespace krait {
namespace {

StateTensorSpec conv(const LayerContext& context, std::int64_t channels, std::int64_t kernel) {
  return {.role = StateTensorSpec::Role::kConv, .shape = {kernel - 1, channels}, .dtype = context.conv_dtype()};
}

StateTensorSpec recurrent(const LayerContext& context, Shape shape) {
  return {.role = StateTensorSpec::Role::kRecurrent, .shape = shape, .dtype = context.ssm_dtype()};
}

}  // namespace

std::vector<StateTensorSpec> mamba1_state(const LayerContext& context, std::int64_t intermediate, std::int64_t state,
                                          std::int64_t conv_kernel) {
  return {conv(context, intermediate, conv_kernel), recurrent(context, {intermediate, state})};
}

std::vector<StateTensorSpec> mamba2_state(const LayerContext& context, std::int64_t heads, std::int64_t head_dim,
                                          std::int64_t groups, std::int64_t state, std::int64_t conv_kernel) {
  return {conv(context, heads * head_dim + 2 * groups * state, conv_kernel),
          recurrent(context, {heads, head_dim, state})};
}

std::vector<StateTensorSpec> short_conv_state(const LayerContext& context, std::int64_t channels,
                                              std::int64_t conv_kernel) {
  return {conv(context, channels, conv_kernel)};
}

std::vector<StateTensorSpec> linear_attention_state(const LayerContext& context, std::int64_t heads,
                                                    std::int64_t head_dim) {
  return {recurrent(context, {heads, head_dim, head_dim})};
}

std::vector<StateTensorSpec> gdn_attention_state(const LayerContext& context, std::int64_t key_heads,
                                                 std::int64_t value_heads, std::int64_t key_dim, std::int64_t value_dim,
                                                 std::int64_t conv_kernel) {
  return {conv(context, 2 * key_heads * key_dim + value_heads * value_dim, conv_kernel),
          recurrent(context, {value_heads, value_dim, key_dim})};
}

std::vector<StateTensorSpec> kda_attention_state(const LayerContext& context, std::int64_t heads, std::int64_t head_dim,
                                                 std::int64_t conv_kernel) {
  return {conv(context, 3 * heads * head_dim, conv_kernel), recurrent(context, {heads, head_dim, head_dim})};
}

}  // namespace krait
