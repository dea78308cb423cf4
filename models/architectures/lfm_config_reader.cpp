#include "models/architectures/lfm_config_reader.h"

#include "models/architectures/attention_config_reader.h"

namespace krait {

AttentionConfig read_lfm_attention_config(const ConfigReader& reader, int hidden_size) {
  AttentionConfig attention = read_attention_config(reader, hidden_size, {.kv_heads = 8});
  attention.qk_norm = QkNorm::kPerHead;
  attention.qk_norm_eps = read_lfm_norm_eps(reader);
  return attention;
}

ShortConvConfig read_short_conv_config(const ConfigReader& reader, int hidden_size) {
  return {.hidden_size = hidden_size,
          .conv_kernel = static_cast<int>(reader.integer_or("conv_L_cache", 3, 2)),
          .bias = reader.boolean_or("conv_bias", false)};
}

float read_lfm_norm_eps(const ConfigReader& reader) { return static_cast<float>(reader.number_or("norm_eps", 1e-5)); }

bool read_lfm_tie_embedding(const ConfigReader& reader) {
  return reader.boolean_or("tie_embedding", reader.boolean_or("tie_word_embeddings", true));
}

}  // namespace krait
