#include <algorithm>
#include <catch2/catch.hpp>

#include "models/layers/cache_spec.h"
#include "models/model.h"
#include "models/weights/weight_loader.h"
#include "tests/models/backends/fake_platform.h"
#include "tests/models/config/temp_folder.h"

using namespace krait;

// Configs in the spelling and with the dimensions of published models of attention and short convolutions: accepted,
// and of the size that they are known for. No weights.

namespace {

struct Found {
  std::string kinds;  ///< of the specs: C for a short convolution, L for lightning attention, F and S for attention
  std::int64_t parameters = 0;
};

char letter_of(const CacheSpec& spec) {
  if (std::holds_alternative<FullAttentionSpec>(spec)) return 'F';
  if (std::holds_alternative<SlidingWindowSpec>(spec)) return 'S';
  return kind_of(spec) == "short_conv" ? 'C' : 'L';
}

Found plan(const std::string& config) {
  const test::TempFolder folder;
  folder.write("config.json", config);
  test::HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(folder.path(), context);
  Found found;
  for (const AttentionLayerBase* layer : model->attention_layers()) {
    for (const CacheSpec& spec : layer->cache_specs()) found.kinds += letter_of(spec);
  }
  WeightLoader loader(DType::kBFloat16);
  model->load_weights(loader, platform, 0);
  loader.finish();
  found.parameters = loader.parameters();
  return found;
}

std::string repeat(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

}  // namespace

TEST_CASE("LFM2-1.2B is planned from its config") {
  const Found found = plan(R"({"architectures": ["Lfm2ForCausalLM"], "block_auto_adjust_ff_dim": true,
    "block_dim": 2048, "block_ff_dim": 12288, "block_ffn_dim_multiplier": 1.0, "block_mlp_init_scale": 1.0,
    "block_multiple_of": 256, "block_norm_eps": 1e-05, "block_out_init_scale": 1.0, "block_use_swiglu": true,
    "block_use_xavier_init": true, "bos_token_id": 1, "conv_L_cache": 3, "conv_bias": false, "conv_dim": 2048,
    "conv_dim_out": 2048, "conv_use_xavier_init": true, "eos_token_id": 7, "full_attn_idxs": [2, 5, 8, 10, 12, 14],
    "hidden_size": 2048, "initializer_range": 0.02, "max_position_embeddings": 128000, "model_type": "lfm2",
    "norm_eps": 1e-05, "num_attention_heads": 32, "num_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
    "pad_token_id": 0, "rope_theta": 1000000.0, "torch_dtype": "bfloat16", "use_cache": true, "use_pos_enc": true,
    "vocab_size": 65536})");
  CHECK(found.kinds == "CCFCCFCCFCFCFCFC");
  CHECK(found.parameters == 1'170'340'608);
}

TEST_CASE("Qwen3-0.6B is planned from its config") {
  const Found found = plan(R"({"architectures": ["Qwen3ForCausalLM"], "attention_bias": false,
    "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu",
    "hidden_size": 1024, "initializer_range": 0.02, "intermediate_size": 3072, "max_position_embeddings": 40960,
    "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16, "num_hidden_layers": 28,
    "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000,
    "sliding_window": null, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true,
    "use_sliding_window": false, "vocab_size": 151936})");
  CHECK(found.kinds == std::string(28, 'F'));
  CHECK(found.parameters == 596'049'920);
}

TEST_CASE("Mistral-7B-v0.1 is planned from its config") {
  const Found found = plan(R"({"architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2,
    "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336,
    "max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 32000})");
  CHECK(found.kinds == std::string(32, 'S'));
  CHECK(found.parameters == 7'241'732'096);
}

TEST_CASE("Gemma 3 1B is planned from its config, which names neither layer kinds nor RoPE settings by kind") {
  const Found found = plan(R"({"architectures": ["Gemma3ForCausalLM"], "attention_bias": false,
    "attention_dropout": 0.0, "attn_logit_softcapping": null, "bos_token_id": 2, "cache_implementation": "hybrid",
    "eos_token_id": [1, 106], "final_logit_softcapping": null, "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152, "initializer_range": 0.02,
    "intermediate_size": 6912, "max_position_embeddings": 32768, "model_type": "gemma3_text",
    "num_attention_heads": 4, "num_hidden_layers": 26, "num_key_value_heads": 1, "pad_token_id": 0,
    "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000, "rope_scaling": null,
    "rope_theta": 1000000, "sliding_window": 512, "sliding_window_pattern": 6, "torch_dtype": "bfloat16",
    "use_cache": true, "vocab_size": 262144})");
  CHECK(found.kinds == repeat("SSSSSF", 4) + "SS");
  CHECK(found.parameters == 999'885'952);
}

TEST_CASE("gpt-oss-20b in bfloat16 is planned from its config") {
  const Found found = plan(R"({"architectures": ["GptOssForCausalLM"], "attention_bias": true,
    "attention_dropout": 0.0, "eos_token_id": 200002, "experts_per_token": 4, "head_dim": 64, "hidden_act": "silu",
    "hidden_size": 2880, "initial_context_length": 4096, "initializer_range": 0.02, "intermediate_size": 2880,
    "max_position_embeddings": 131072, "model_type": "gpt_oss", "num_attention_heads": 64,
    "num_experts_per_tok": 4, "num_hidden_layers": 24, "num_key_value_heads": 8, "num_local_experts": 32,
    "output_router_logits": false, "rms_norm_eps": 1e-05, "rope_scaling": {"beta_fast": 32.0, "beta_slow": 1.0,
    "factor": 32.0, "original_max_position_embeddings": 4096, "rope_type": "yarn", "truncate": false},
    "rope_theta": 150000, "router_aux_loss_coef": 0.9, "sliding_window": 128, "swiglu_limit": 7.0,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 201088})");
  CHECK(found.kinds == repeat("SF", 12));
  CHECK(found.parameters == 20'914'757'184);
}
