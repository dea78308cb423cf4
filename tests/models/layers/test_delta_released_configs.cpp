#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "models/backends/mamba_type.h"
#include "models/layers/cache_spec.h"
#include "models/model.h"
#include "models/weights/weight_loader.h"
#include "tests/models/backends/fake_platform.h"
#include "tests/models/config/temp_folder.h"

using namespace krait;

// Configs in the spelling and with the dimensions of published models: accepted, and of the size that they are known
// for. No weights.

namespace {

struct Found {
  std::string kinds;        ///< of the first eight layers: an L for a recurrent one, an F for attention
  std::int64_t recurrent;   ///< layers
  double billions;          ///< parameters, rounded to a tenth
  std::size_t state_bytes;  ///< of one recurrent layer and request
};

Found plan(const std::string& config) {
  const test::TempFolder folder;
  folder.write("config.json", config);
  test::HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(folder.path(), context);
  std::string kinds;
  std::size_t state_bytes = 0;
  for (const AttentionLayerBase* layer : model->attention_layers()) {
    const CacheSpec spec = layer->cache_specs().at(0);
    kinds += std::holds_alternative<MambaSpec>(spec) ? 'L' : 'F';
    state_bytes = std::max(state_bytes, bytes_per_request(spec));
  }
  WeightLoader loader(DType::kBFloat16);
  model->load_weights(loader, platform, 0);
  loader.finish();
  return {.kinds = kinds.substr(0, 8),
          .recurrent = std::count(kinds.begin(), kinds.end(), 'L'),
          .billions = std::round(static_cast<double>(loader.parameters()) / 1e8) / 10,
          .state_bytes = state_bytes};
}

}  // namespace

TEST_CASE("Qwen3-Next-80B-A3B is planned from its config") {
  const Found found = plan(R"({"architectures": ["Qwen3NextForCausalLM"], "attention_bias": false,
    "attention_dropout": 0.0, "bos_token_id": 151643, "decoder_sparse_step": 1, "eos_token_id": 151645,
    "full_attention_interval": 4, "head_dim": 256, "hidden_act": "silu", "hidden_size": 2048,
    "intermediate_size": 5120, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_num_key_heads": 16,
    "linear_num_value_heads": 32, "linear_value_head_dim": 128, "max_position_embeddings": 262144,
    "mlp_only_layers": [], "model_type": "qwen3_next", "moe_intermediate_size": 512, "norm_topk_prob": true,
    "num_attention_heads": 16, "num_experts": 512, "num_experts_per_tok": 10, "num_hidden_layers": 48,
    "num_key_value_heads": 2, "output_router_logits": false, "partial_rotary_factor": 0.25, "rms_norm_eps": 1e-06,
    "rope_scaling": null, "rope_theta": 10000000, "shared_expert_intermediate_size": 512,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_sliding_window": false, "vocab_size": 151936})");
  CHECK(found.kinds == "LLLFLLLF");
  CHECK(found.recurrent == 36);
  CHECK(found.billions == 79.7);
  CHECK(found.state_bytes == 4 * (3 * 8192 + 32 * 128 * 128));
}

TEST_CASE("a multimodal Qwen3.5 MoE is planned from its config") {
  const Found found = plan(R"({"architectures": ["Qwen3_5MoeForConditionalGeneration"], "image_token_id": 248056,
    "model_type": "qwen3_5_moe", "tie_word_embeddings": false, "vision_config": {"depth": 27, "hidden_size": 1152},
    "text_config": {"attention_bias": false, "attn_output_gate": true, "dtype": "bfloat16", "eos_token_id": 248044,
      "full_attention_interval": 4, "head_dim": 256, "hidden_act": "silu", "hidden_size": 2048,
      "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_num_key_heads": 16,
      "linear_num_value_heads": 32, "linear_value_head_dim": 128, "mamba_ssm_dtype": "float32",
      "max_position_embeddings": 262144, "mlp_only_layers": [], "model_type": "qwen3_5_moe_text",
      "moe_intermediate_size": 512, "mtp_num_hidden_layers": 1, "num_attention_heads": 16, "num_experts": 256,
      "num_experts_per_tok": 8, "num_hidden_layers": 40, "num_key_value_heads": 2, "rms_norm_eps": 1e-06,
      "rope_parameters": {"mrope_interleaved": true, "mrope_section": [11, 11, 10], "partial_rotary_factor": 0.25,
                          "rope_theta": 10000000, "rope_type": "default"},
      "shared_expert_intermediate_size": 512, "vocab_size": 248320}})");
  CHECK(found.kinds == "LLLFLLLF");
  CHECK(found.recurrent == 30);
  CHECK(found.billions == 34.7);
}

TEST_CASE("OLMo-Hybrid-7B is planned from its config, with the sizes that the reference derives") {
  const Found found = plan(R"({"architectures": ["OlmoHybridForCausalLM"], "model_type": "olmo_hybrid",
    "hidden_act": "silu", "hidden_size": 3840, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 30, "num_key_value_heads": 30, "max_position_embeddings": 65536, "rms_norm_eps": 1e-06,
    "rope_parameters": null, "linear_allow_neg_eigval": true, "vocab_size": 100352})");
  CHECK(found.kinds == "LLLFLLLF");
  CHECK(found.recurrent == 24);
  CHECK(found.billions == 7.4);
  // 30 heads with keys of 96 and values of 192.
  CHECK(found.state_bytes == 4 * (3 * 30 * (96 + 96 + 192) + 30 * 96 * 192));
}

TEST_CASE("Kimi-Linear-48B-A3B is planned from its config") {
  const Found found = plan(R"({"architectures": ["KimiLinearForCausalLM"], "model_type": "kimi_linear",
    "first_k_dense_replace": 1, "head_dim": 72, "hidden_act": "silu", "hidden_size": 2304, "intermediate_size": 9216,
    "kv_lora_rank": 512, "linear_attn_config": {"full_attn_layers": [4, 8, 12, 16, 20, 24, 27], "head_dim": 128,
      "kda_layers": [1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19, 21, 22, 23, 25, 26], "num_heads": 32,
      "short_conv_kernel_size": 4},
    "mla_use_nope": true, "model_max_length": 1048576, "moe_intermediate_size": 1024, "moe_layer_freq": 1,
    "moe_renormalize": true, "moe_router_activation_func": "sigmoid", "num_attention_heads": 32, "num_experts": 256,
    "num_experts_per_token": 8, "num_expert_group": 1, "num_hidden_layers": 27, "num_key_value_heads": 32,
    "num_nextn_predict_layers": 0, "num_shared_experts": 1, "q_lora_rank": null, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 10000.0,
    "routed_scaling_factor": 2.446, "tie_word_embeddings": false, "topk_group": 1, "use_grouped_topk": true,
    "v_head_dim": 128, "vocab_size": 163840, "dtype": "bfloat16", "eos_token_id": 163586})");
  CHECK(found.kinds == "LLLFLLLF");
  CHECK(found.recurrent == 20);
  CHECK(found.billions == 49.1);
  CHECK(found.state_bytes == 4 * (3 * 3 * 4096 + 32 * 128 * 128));
}
