#include <catch2/catch.hpp>

#include "tests/models/layers/dispatch_rows.h"

using namespace krait;
using test::dispatch;
using test::model_error;
using test::Row;

namespace {

Row mamba(const std::string& name, std::size_t bytes) { return {name, "mamba2", "mamba2", 0, bytes}; }
Row attention(const std::string& name, std::size_t bytes) {
  return {name, "full_attention", "paged_attention", bytes, 0};
}

const std::string kMamba2 = R"({"architectures": ["Mamba2ForCausalLM"], "model_type": "mamba2", "hidden_size": 64,
  "num_hidden_layers": 1, "vocab_size": 256, "num_heads": 8, "head_dim": 16, "state_size": 16, "n_groups": 1,
  "hidden_act": "silu", "expand": 2, "chunk_size": 16)";

}  // namespace

TEST_CASE("dispatch of every family: layer, kind, backend, specs") {
  // conv (K-1) x channels, rounded up to 128 bytes, and heads x head_dim x state, in float32
  CHECK(dispatch("demo/aesop") ==
        std::vector<Row>{mamba("model.layers.0.mamba", 7680 + 131072), mamba("model.layers.1.mamba", 7680 + 131072),
                         attention("model.layers.2.self_attn", 512), mamba("model.layers.3.mamba", 7680 + 131072),
                         attention("model.layers.4.self_attn", 512), mamba("model.layers.5.mamba", 7680 + 131072)});
  CHECK(dispatch("tests/golden/models/granitemoehybrid_dense") ==
        std::vector<Row>{mamba("model.layers.0.mamba", 1920 + 8192), attention("model.layers.1.self_attn", 256),
                         mamba("model.layers.2.mamba", 1920 + 8192), mamba("model.layers.3.mamba", 1920 + 8192)});
  CHECK(dispatch("tests/golden/models/granitemoehybrid_moe") ==
        std::vector<Row>{mamba("model.layers.0.mamba", 2304 + 8192), attention("model.layers.1.self_attn", 256),
                         mamba("model.layers.2.mamba", 2304 + 8192), mamba("model.layers.3.mamba", 2304 + 8192)});
  CHECK(dispatch("tests/golden/models/mamba2") == std::vector<Row>{mamba("backbone.layers.0.mixer", 2304 + 8192),
                                                                   mamba("backbone.layers.1.mixer", 2304 + 8192),
                                                                   mamba("backbone.layers.2.mixer", 2304 + 8192)});
  CHECK(dispatch("tests/golden/models/llama") == std::vector<Row>{attention("model.layers.0.self_attn", 256),
                                                                  attention("model.layers.1.self_attn", 256),
                                                                  attention("model.layers.2.self_attn", 256)});
}

TEST_CASE("layers with equal specs and one backend form one group") {
  test::HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(std::string(KRAIT_SOURCE_DIR) + "/demo/aesop", context);
  const auto groups = form_cache_groups(model->attention_layers(), 16);
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].layer_names.size() == 4);
  CHECK_FALSE(groups[0].kv_group.has_value());
  CHECK(groups[0].chunk_size == 64);
  CHECK(groups[1].layer_names == std::vector<std::string>{"model.layers.2.self_attn", "model.layers.4.self_attn"});
  CHECK(groups[1].kv_group == 0U);
}

TEST_CASE("two layers with one name are refused") {
  test::HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(std::string(KRAIT_SOURCE_DIR) + "/tests/golden/models/llama", context);
  auto layers = model->attention_layers();
  layers.push_back(layers.front());
  CHECK_THROWS_WITH(form_cache_groups(layers, 16), "Duplicate layer name: model.layers.0.self_attn");
}

TEST_CASE("configs that cannot be served are refused with the key and what is valid") {
  CHECK(model_error(kMamba2 + "}").empty());
  CHECK(model_error(R"({"architectures": ["RwkvForCausalLM"], "model_type": "rwkv", "hidden_size": 64, "vocab_size": 8,
                        "num_hidden_layers": 1})")
            .find("Known architectures: BailingHybridForCausalLM, BambaForCausalLM, ") != std::string::npos);
  std::string other_type = kMamba2 + "}";
  other_type.replace(other_type.find("\"mamba2\""), 8, "\"mamba9\"");
  CHECK(
      model_error(other_type).find("`model_type` is 'mamba9', which is no type of Mamba2ForCausalLM. Valid: mamba2") !=
      std::string::npos);
  std::string no_chunk = kMamba2 + "}";
  no_chunk.replace(no_chunk.find("\"chunk_size\": 16"), 16, "\"chunk_size\": null");
  CHECK(model_error(no_chunk).find("chunk size") != std::string::npos);
  CHECK(model_error(kMamba2 + R"(, "time_step_limit": [0.5, 0.1]})").find("`time_step_limit`") != std::string::npos);
  std::string gelu = kMamba2 + "}";
  gelu.replace(gelu.find("\"silu\""), 6, "\"gelu\"");
  CHECK(model_error(gelu).find("`hidden_act`") != std::string::npos);
  std::string heads = kMamba2 + "}";
  heads.replace(heads.find("\"num_heads\": 8"), 14, "\"num_heads\": 7");
  CHECK(model_error(heads).find("`num_heads` times `head_dim` is 112") != std::string::npos);
}

TEST_CASE("a user's choice of backend reaches the layers") {
  test::HookedPlatform platform;
  MambaConfig mamba;
  mamba.attention_backends["mamba2"] = "nope";
  const LayerContext context{.platform = platform, .mamba = mamba, .parallel = {}};
  const auto model = make_model(std::string(KRAIT_SOURCE_DIR) + "/demo/aesop", context);
  CHECK_THROWS_WITH(form_cache_groups(model->attention_layers(), 16),
                    "Unknown mamba backend: 'nope'. Valid backends for 'mamba2' are: mamba2");
}
