#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/models/layers/dispatch_rows.h"

using namespace krait;
using nlohmann::json;
using test::dispatch;
using test::model_error;
using test::Row;

namespace {

Row delta(const std::string& name, const std::string& type, std::size_t bytes) { return {name, type, type, 0, bytes}; }
Row attention(const std::string& name, std::size_t bytes, const std::string& kind = "full_attention") {
  return {name, kind, "paged_attention", bytes, 0};
}

std::string golden(const std::string& name) { return "tests/golden/models/" + name; }

json config_of(const std::string& fixture) {
  std::ifstream file(std::string(KRAIT_SOURCE_DIR) + "/" + golden(fixture) + "/config.json");
  return json::parse(file);
}

/// What start-up says when one key of a fixture's config has another value; null removes it.
std::string error_with(const std::string& fixture, const std::string& pointer, const json& value) {
  json config = config_of(fixture);
  config[json::json_pointer(pointer)] = value;
  return model_error(config.dump());
}

void check_error(const std::string& fixture, const std::string& pointer, const json& value, const std::string& part) {
  const std::string error = error_with(fixture, pointer, value);
  CAPTURE(fixture, pointer, error);
  CHECK(error.find(part) != std::string::npos);
}

/// The kinds of the layers, an L for a recurrent one and an F for attention.
std::string kinds_of(const json& config) {
  const test::TempFolder folder;
  folder.write("config.json", config.dump());
  test::HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(folder.path(), context);
  std::string kinds;
  for (const AttentionLayerBase* layer : model->attention_layers()) {
    kinds += std::holds_alternative<MambaSpec>(layer->cache_specs().at(0)) ? 'L' : 'F';
  }
  return kinds;
}

}  // namespace

TEST_CASE("dispatch of the delta-rule families: layer, kind, backend, specs") {
  // conv (K-1) x channels and value heads x value dim x key dim, in float32
  const std::size_t qwen = 1536 + 4096;
  const std::string gdn = "gdn_attention";
  for (const std::string name : {"qwen3_5", "qwen3_5_moe"}) {
    CHECK(dispatch(golden(name)) == std::vector<Row>{delta("model.layers.0.linear_attn", gdn, qwen),
                                                     delta("model.layers.1.linear_attn", gdn, qwen),
                                                     delta("model.layers.2.linear_attn", gdn, qwen),
                                                     attention("model.layers.3.self_attn", 512)});
  }
  CHECK(dispatch(golden("qwen3_5_nested")) ==
        std::vector<Row>{delta("model.language_model.layers.0.linear_attn", gdn, qwen),
                         delta("model.language_model.layers.1.linear_attn", gdn, qwen),
                         delta("model.language_model.layers.2.linear_attn", gdn, qwen),
                         attention("model.language_model.layers.3.self_attn", 512)});
  CHECK(dispatch(golden("qwen3_next")) ==
        std::vector<Row>{delta("model.layers.0.linear_attn", gdn, qwen), delta("model.layers.1.linear_attn", gdn, qwen),
                         attention("model.layers.2.self_attn", 512), delta("model.layers.3.linear_attn", gdn, qwen)});
  const std::size_t olmo = 2304 + 4608;
  CHECK(dispatch(golden("olmo_hybrid")) ==
        std::vector<Row>{delta("model.layers.0.linear_attn", gdn, olmo), delta("model.layers.1.linear_attn", gdn, olmo),
                         attention("model.layers.2.self_attn", 256), delta("model.layers.3.linear_attn", gdn, olmo)});
  // One latent row of 32 + 8 numbers a token.
  const std::size_t kda = 2304 + 4096;
  CHECK(dispatch(golden("kimi_linear")) == std::vector<Row>{delta("model.layers.0.self_attn", "kda_attention", kda),
                                                            delta("model.layers.1.self_attn", "kda_attention", kda),
                                                            attention("model.layers.2.self_attn", 160, "mla"),
                                                            delta("model.layers.3.self_attn", "kda_attention", kda)});
  CHECK(dispatch(golden("bailing_hybrid")) ==
        std::vector<Row>{delta("model.layers.0.attention", "kda_attention", kda),
                         delta("model.layers.1.attention", "kda_attention", kda),
                         attention("model.layers.2.attention", 160, "mla"),
                         delta("model.layers.3.attention", "kda_attention", kda)});
}

TEST_CASE("layers of the delta-rule families without a list of kinds") {
  json qwen = config_of("qwen3_next");
  qwen.erase("layer_types");
  CHECK(kinds_of(qwen) == "LLLF");
  qwen["full_attention_interval"] = 2;
  CHECK(kinds_of(qwen) == "LFLF");
  json olmo = config_of("olmo_hybrid");
  olmo.erase("layer_types");
  CHECK(kinds_of(olmo) == "LLLF");
  olmo["num_hidden_layers"] = 3;
  CHECK(kinds_of(olmo) == "LLF");
  json kimi = config_of("kimi_linear");
  CHECK(kinds_of(kimi) == "LLFL");
  kimi["linear_attn_config"].erase("kda_layers");
  CHECK(kinds_of(kimi) == "LLLF");
  kimi["layer_types"] = {"full_attention", "linear_attention", "full_attention", "linear_attention"};
  CHECK(kinds_of(kimi) == "FLFL");
  json bailing = config_of("bailing_hybrid");
  bailing.erase("layer_types");
  CHECK(kinds_of(bailing) == "LLFL");
}

TEST_CASE("released spellings of a bailing_hybrid config are read") {
  json config = config_of("bailing_hybrid");
  for (const char* key : {"layer_types", "mlp_layer_types", "linear_head_dim", "linear_num_heads", "moe_renormalize",
                          "linear_conv_kernel_dim", "num_expert_group", "num_experts_per_token"}) {
    config.erase(key);
  }
  config.update(json{{"head_dim", 16},
                     {"n_group", 2},
                     {"num_experts_per_tok", 2},
                     {"norm_topk_prob", true},
                     {"partial_rotary_factor", 0.5},
                     {"score_function", "sigmoid"},
                     {"linear_attention", "kda"},
                     {"expert_swiglu_limit_list", {0, 0, 0, 0}}});
  CHECK(model_error(config.dump()).empty());
  CHECK(kinds_of(config) == "LLFL");
}

TEST_CASE("configs of the delta-rule families that cannot be served are refused by key") {
  CHECK(error_with("qwen3_next", "/use_sliding_window", false).empty());
  check_error("qwen3_next", "/use_sliding_window", true, "`use_sliding_window` must be false");
  check_error("qwen3_next", "/hidden_act", "gelu", "`hidden_act`");
  check_error("qwen3_next", "/layer_types/1", "sliding_attention", "Valid kinds: linear_attention, full_attention");
  check_error("qwen3_next", "/num_hidden_layers", 5, "`layer_types` has 4 entries");
  check_error("qwen3_next", "/linear_num_value_heads", 3, "2 key heads do not divide the number of value heads (3)");
  check_error("qwen3_next", "/num_experts_per_tok", 7, "7");
  check_error("qwen3_next", "/mlp_only_layers", json{"first"}, "`mlp_only_layers` must be a list of integers");
  check_error("qwen3_5_nested", "/text_config/hidden_act", "gelu", "`text_config.hidden_act`");
  check_error("qwen3_5_nested", "/text_config/attn_output_gate", false, "`text_config.attn_output_gate`");
  check_error("qwen3_5_moe", "/mlp_only_layers", json{1}, "`mlp_only_layers` must be empty");
  check_error("olmo_hybrid", "/intermediate_size", nullptr, "`intermediate_size`");
  check_error("kimi_linear", "/linear_attn_config/kda_layers", json{1, 2}, "found layer 4 in neither");
  check_error("kimi_linear", "/linear_attn_config/kda_layers", json{1, 2, 3, 4}, "found layer 3 more than once");
  check_error("kimi_linear", "/linear_attn_config/kda_layers", json{0, 2, 4}, "integers from 1 to 4");
  check_error("kimi_linear", "/mla_use_nope", false, "`mla_use_nope`");
  check_error("kimi_linear", "/attn_res_block_size", 3, "`attn_res_block_size`");
  check_error("kimi_linear", "/moe_router_activation_func", "softmax", "`moe_router_activation_func`");
  check_error("bailing_hybrid", "/mlp_layer_types/0", "big", "Valid kinds: dense, sparse");
  check_error("bailing_hybrid", "/kda_lower_bound", 1.0, "`kda_lower_bound` must be below 0");
  check_error("bailing_hybrid", "/use_qkv_bias", true, "`use_qkv_bias`");
  check_error("bailing_hybrid", "/expert_swiglu_limit_list", json{0, 7.0}, "`expert_swiglu_limit_list`");
}
