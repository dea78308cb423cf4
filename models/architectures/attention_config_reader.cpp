#include "models/architectures/attention_config_reader.h"

#include <cmath>

namespace krait {

AttentionConfig read_attention_config(const ConfigReader& reader, int hidden_size, const AttentionDefaults& defaults) {
  AttentionConfig attention;
  attention.hidden_size = hidden_size;
  attention.heads = static_cast<int>(reader.integer("num_attention_heads"));
  const int kv_heads = defaults.kv_heads > 0 ? defaults.kv_heads : attention.heads;
  attention.kv_heads = static_cast<int>(reader.integer_or("num_key_value_heads", kv_heads, 1));
  const int head_dim = defaults.head_dim > 0 ? defaults.head_dim : hidden_size / attention.heads;
  if (head_dim == 0 && !reader.has("head_dim")) {
    reader.fail("num_attention_heads", "is " + std::to_string(attention.heads) + ", more than `hidden_size` (" +
                                           std::to_string(hidden_size) + "), and there is no `head_dim`");
  }
  attention.head_dim = static_cast<int>(reader.integer_or("head_dim", head_dim, 1));
  attention.scale = 1.0F / std::sqrt(static_cast<float>(attention.head_dim));
  attention.bias = reader.boolean_or("attention_bias", defaults.bias);
  attention.output_bias = attention.bias;
  return attention;
}

}  // namespace krait
