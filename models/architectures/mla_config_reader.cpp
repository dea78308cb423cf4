#include "models/architectures/mla_config_reader.h"

#include <algorithm>
#include <cmath>

#include "models/config/config_reader.h"

namespace krait {
namespace {

/// Of all heads together: a hundred times and more of what any published model has.
constexpr std::int64_t kMaximumWidth = std::int64_t{1} << 24;

}  // namespace

MlaConfig read_mla_config(const ConfigReader& reader, int hidden_size, bool rotates) {
  MlaConfig mla;
  mla.hidden_size = hidden_size;
  mla.heads = static_cast<int>(reader.integer("num_attention_heads"));
  if (reader.integer_or("num_key_value_heads", mla.heads) != mla.heads) {
    reader.fail("num_key_value_heads", "must be `num_attention_heads` (" + std::to_string(mla.heads) +
                                           ") in latent attention, found " +
                                           std::to_string(reader.integer("num_key_value_heads")));
  }
  mla.q_lora_rank = static_cast<int>(reader.integer_or("q_lora_rank", 0));
  mla.kv_lora_rank = static_cast<int>(reader.integer("kv_lora_rank"));
  mla.nope_dim = static_cast<int>(reader.integer("qk_nope_head_dim"));
  mla.rope_dim = static_cast<int>(reader.integer("qk_rope_head_dim"));
  mla.value_dim = static_cast<int>(reader.integer("v_head_dim"));
  const std::int64_t head_width = std::int64_t{mla.nope_dim} + std::max(mla.rope_dim, mla.value_dim);
  if (head_width > kMaximumWidth / mla.heads) {
    reader.fail("num_attention_heads", "is " + std::to_string(mla.heads) + " with heads of " +
                                           std::to_string(head_width) +
                                           " channels (`qk_nope_head_dim` and `qk_rope_head_dim` or `v_head_dim`), "
                                           "which no model has");
  }
  mla.bias = reader.boolean_or("attention_bias", false);
  mla.output_bias = mla.bias;
  double scale = 1.0 / std::sqrt(static_cast<double>(mla.nope_dim + mla.rope_dim));
  if (rotates) {
    // `partial_rotary_factor` of some configs is what led to qk_rope_head_dim, all of which rotates.
    mla.rope = read_rope_config(reader, mla.rope_dim, {.partial_factor_fixed = true, .interleaved = true});
    scale *= latent_attention_scale_factor(*mla.rope);
  }
  mla.scale = static_cast<float>(scale);
  return mla;
}

}  // namespace krait
