#include "models/architectures/attention_config_reader.h"

#include <cmath>

namespace krait {
namespace {

/// Of all heads together: a hundred times and more of what any published model has.
constexpr std::int64_t kMaximumWidth = std::int64_t{1} << 24;

}  // namespace

int read_kv_heads(const ConfigReader& reader, int heads, int absent) {
  const int fallback = absent > 0 && !reader.is_null("num_key_value_heads") ? absent : heads;
  const auto kv_heads = static_cast<int>(reader.integer_or("num_key_value_heads", fallback, 1));
  if (heads % kv_heads != 0) {
    reader.fail("num_key_value_heads", "is " + std::to_string(kv_heads) +
                                           ": so many do not divide the number of attention heads (" +
                                           std::to_string(heads) + ")");
  }
  return kv_heads;
}

AttentionConfig read_attention_config(const ConfigReader& reader, int hidden_size, const AttentionDefaults& defaults) {
  AttentionConfig attention;
  attention.hidden_size = hidden_size;
  attention.heads = static_cast<int>(reader.integer("num_attention_heads"));
  attention.kv_heads = read_kv_heads(reader, attention.heads, defaults.kv_heads);
  const int head_dim = defaults.head_dim > 0 ? defaults.head_dim : hidden_size / attention.heads;
  if (head_dim == 0 && !reader.has("head_dim")) {
    reader.fail("num_attention_heads", "is " + std::to_string(attention.heads) + ", more than `hidden_size` (" +
                                           std::to_string(hidden_size) + "), and there is no `head_dim`");
  }
  attention.head_dim = static_cast<int>(reader.integer_or("head_dim", head_dim, 1));
  const std::int64_t width = std::int64_t{attention.heads} * attention.head_dim;
  if (width > kMaximumWidth) {
    reader.fail("num_attention_heads", "times `head_dim` is " + std::to_string(width) + ", which no model has");
  }
  attention.scale = 1.0F / std::sqrt(static_cast<float>(attention.head_dim));
  attention.bias = reader.boolean_or("attention_bias", defaults.bias);
  attention.output_bias = attention.bias;
  return attention;
}

}  // namespace krait
