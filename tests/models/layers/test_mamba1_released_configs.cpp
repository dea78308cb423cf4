#include <algorithm>
#include <catch2/catch.hpp>

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
  std::string kinds;  ///< of the layers that keep something: an L for a recurrent one, an F for attention
  std::int64_t parameters = 0;
  std::size_t state_bytes = 0;  ///< of one recurrent layer and request
};

Found plan(const std::string& config) {
  const test::TempFolder folder;
  folder.write("config.json", config);
  test::HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(folder.path(), context);
  Found found;
  for (const AttentionLayerBase* layer : model->attention_layers()) {
    const CacheSpec spec = layer->cache_specs().at(0);
    found.kinds += std::holds_alternative<MambaSpec>(spec) ? 'L' : 'F';
    found.state_bytes = std::max(found.state_bytes, bytes_per_request(spec));
  }
  WeightLoader loader(DType::kBFloat16);
  model->load_weights(loader, platform, 0);
  loader.finish();
  found.parameters = loader.parameters();
  return found;
}

}  // namespace

TEST_CASE("Mamba-130m is planned from its config") {
  const Found found = plan(R"({"architectures": ["MambaForCausalLM"], "bos_token_id": 0, "conv_kernel": 4,
    "d_inner": 1536, "d_model": 768, "eos_token_id": 0, "expand": 2, "fused_add_norm": true, "hidden_act": "silu",
    "hidden_size": 768, "intermediate_size": 1536, "layer_norm_epsilon": 1e-05, "model_type": "mamba", "n_layer": 24,
    "num_hidden_layers": 24, "residual_in_fp32": true, "rms_norm": true, "ssm_cfg": {}, "state_size": 16,
    "time_step_rank": 48, "torch_dtype": "float32", "use_bias": false, "use_conv_bias": true, "vocab_size": 50280})");
  CHECK(found.kinds == std::string(24, 'L'));
  CHECK(found.parameters == 129'135'360);
  CHECK(found.state_bytes == 4 * (3 * 1536 + 1536 * 16));
}

TEST_CASE("Falcon-Mamba-7B is planned from its config, whose expansion is not its inner size") {
  const Found found = plan(R"({"architectures": ["FalconMambaForCausalLM"], "bos_token_id": 0, "conv_kernel": 4,
    "eos_token_id": 11, "expand": 16, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 8192,
    "layer_norm_epsilon": 1e-05, "mixer_rms_eps": 1e-06, "model_type": "falcon_mamba", "num_hidden_layers": 64,
    "state_size": 16, "tie_word_embeddings": false, "time_step_rank": 256, "time_step_scale": 1.0,
    "torch_dtype": "bfloat16", "use_bias": false, "use_conv_bias": true, "use_mambapy": false, "vocab_size": 65024})");
  CHECK(found.kinds == std::string(64, 'L'));
  CHECK(found.parameters == 7'272'665'088);
}

TEST_CASE("Jamba-v0.1 is planned from its config") {
  const Found found = plan(R"({"architectures": ["JambaForCausalLM"], "attention_dropout": 0.0,
    "attn_layer_offset": 4, "attn_layer_period": 8, "expert_layer_offset": 1, "expert_layer_period": 2,
    "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336, "mamba_conv_bias": true,
    "mamba_d_conv": 4, "mamba_d_state": 16, "mamba_dt_rank": 256, "mamba_expand": 2, "mamba_inner_layernorms": true,
    "mamba_proj_bias": false, "model_type": "jamba", "n_ctx": 262144, "num_attention_heads": 32, "num_experts": 16,
    "num_experts_per_tok": 2, "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-06,
    "sliding_window": null, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_mamba_kernels": true,
    "vocab_size": 65536})");
  CHECK(found.kinds == "LLLLFLLLLLLLFLLLLLLLFLLLLLLLFLLL");
  CHECK(found.parameters == 51'570'323'328);
}

TEST_CASE("Zamba-7B-v1 is planned from its config, without a list of layer kinds") {
  const Found found = plan(R"({"architectures": ["ZambaForCausalLM"], "attention_dropout": 0.0,
    "attn_layer_offset": 4, "attn_layer_period": 6, "hidden_act": "gelu", "hidden_mamba_act": "silu",
    "hidden_size": 3712, "intermediate_size": 14848, "mamba_conv_bias": true, "mamba_d_conv": 4, "mamba_d_state": 16,
    "mamba_dt_rank": 232, "mamba_expand": 2, "mamba_proj_bias": false, "max_position_embeddings": 4096,
    "model_type": "zamba", "n_mamba_heads": 2, "num_attention_heads": 16, "num_hidden_layers": 76,
    "num_key_value_heads": 16, "num_logits_to_keep": 1, "rms_norm_eps": 1e-05, "tie_word_embeddings": true,
    "torch_dtype": "bfloat16", "vocab_size": 32000})");
  CHECK(std::count(found.kinds.begin(), found.kinds.end(), 'L') == 76);
  CHECK(std::count(found.kinds.begin(), found.kinds.end(), 'F') == 13);
  CHECK(found.parameters == 7'232'490'496);
}

TEST_CASE("RecurrentGemma-2B is planned from its config") {
  const Found found = plan(R"({"architectures": ["RecurrentGemmaForCausalLM"], "attention_bias": false,
    "attention_dropout": 0.0, "attention_window_size": 2048, "block_types": ["recurrent", "recurrent", "attention"],
    "conv1d_width": 4, "embeddings_scale_by_sqrt_dim": true, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size": 2560, "intermediate_size": 15360, "logits_soft_cap": 30.0, "lru_width": 2560,
    "model_type": "recurrent_gemma", "num_attention_heads": 10, "num_hidden_layers": 26, "num_key_value_heads": 1,
    "partial_rotary_factor": 0.5, "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "torch_dtype": "bfloat16",
    "vocab_size": 256000})");
  CHECK(found.kinds == "LLFLLFLLFLLFLLFLLFLLFLLFLL");
  CHECK(found.parameters / 10'000'000 == 268);
  CHECK(found.state_bytes == 4 * (3 * 2560 + 2560));
}
