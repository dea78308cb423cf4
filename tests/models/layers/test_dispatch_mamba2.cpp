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

Row mamba(const std::string& name, std::size_t conv, std::size_t ssm) {
  return {name, "mamba2", "mamba2", 0, conv + ssm};
}
Row attention(const std::string& name, std::size_t bytes, const std::string& kind = "full_attention") {
  return {name, kind, "paged_attention", bytes, 0};
}

std::string golden(const std::string& name) { return "tests/golden/models/" + name; }

json config_of(const std::string& fixture) {
  std::ifstream file(std::string(KRAIT_SOURCE_DIR) + "/" + golden(fixture) + "/config.json");
  return json::parse(file);
}

json plamo2_config() {
  return {{"architectures", {"Plamo2ForCausalLM"}},
          {"model_type", "plamo2"},
          {"hidden_size", 32},
          {"num_hidden_layers", 4},
          {"vocab_size", 64},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"hidden_size_per_head", 8},
          {"attention_window_size", 8},
          {"full_attention_idx", {3}},
          {"mamba_num_heads", 6},
          {"mamba_d_state", 16},
          {"mamba_step", 2},
          {"mamba_chunk_size", 16},
          {"intermediate_size", 48}};
}

/// The layers with a cache of a config: their kinds, one letter each: m for Mamba-2, a for attention, w with a window.
std::string kinds_of(const json& config) {
  const test::TempFolder folder;
  folder.write("config.json", config.dump());
  test::HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(folder.path(), context);
  std::string kinds;
  for (const AttentionLayerBase* layer : model->attention_layers()) {
    const std::string kind = kind_of(layer->cache_specs().at(0));
    kinds += kind == "mamba2" ? 'm' : (kind == "sliding_window" ? 'w' : 'a');
  }
  return kinds;
}

std::size_t state_bytes(const json& config) {
  const test::TempFolder folder;
  folder.write("config.json", config.dump());
  test::HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(folder.path(), context);
  return bytes_per_request(model->attention_layers().front()->cache_specs().at(0));
}

void check_error(json config, const std::string& key, const json& value, const std::string& part) {
  config[key] = value;
  const std::string error = model_error(config.dump());
  CAPTURE(key, error);
  CHECK(error.find("`" + key + "`") != std::string::npos);
  CHECK(error.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("dispatch of the Mamba-2 families: layer, kind, backend, specs") {
  // conv (K-1) x channels, rounded up to 128 bytes, and heads x head_dim x state, in float32
  const auto m = [](const std::string& name) { return mamba(name, 2304, 8192); };
  CHECK(dispatch(golden("bamba")) == std::vector<Row>{m("model.layers.0.mamba"), m("model.layers.1.mamba"),
                                                      attention("model.layers.2.self_attn", 256),
                                                      m("model.layers.3.mamba")});
  CHECK(dispatch(golden("nemotron_h")) == std::vector<Row>{m("backbone.layers.0.mixer"), m("backbone.layers.2.mixer"),
                                                           attention("backbone.layers.3.mixer", 384),
                                                           m("backbone.layers.5.mixer")});
  CHECK(dispatch(golden("nemotron_h_moe")) == std::vector<Row>{m("backbone.layers.0.mixer"),
                                                               attention("backbone.layers.2.mixer", 384),
                                                               m("backbone.layers.4.mixer")});
  CHECK(dispatch(golden("nemotron_h_latent")) ==
        std::vector<Row>{m("backbone.layers.0.mixer"), attention("backbone.layers.2.mixer", 384)});
  CHECK(dispatch(golden("zamba2")) ==
        std::vector<Row>{m("model.layers.0.mamba"), attention("model.layers.1.self_attn", 1024),
                         m("model.layers.1.mamba_decoder.mamba"), m("model.layers.2.mamba"),
                         attention("model.layers.3.self_attn", 1024), m("model.layers.3.mamba_decoder.mamba"),
                         attention("model.layers.4.self_attn", 1024), m("model.layers.4.mamba_decoder.mamba"),
                         m("model.layers.5.mamba")});
}

TEST_CASE("dispatch of layers with two caches, and of PLaMo 2") {
  std::vector<Row> falcon;
  std::vector<Row> nonorm;
  for (int i = 0; i < 3; ++i) {
    const std::string prefix = "model.layers." + std::to_string(i);
    falcon.push_back(mamba(prefix + ".mamba", 1920, 6144));
    falcon.push_back(attention(prefix + ".self_attn", 256));
    nonorm.push_back(mamba(prefix + ".mamba", 1536, 6144));
    nonorm.push_back(attention(prefix + ".self_attn", 384));
  }
  CHECK(dispatch(golden("falcon_h1")) == falcon);
  CHECK(dispatch(golden("falcon_h1_nonorm")) == nonorm);

  CHECK(kinds_of(plamo2_config()) == "mwma");
  CHECK(state_bytes(plamo2_config()) == 640 + 6 * 8 * 16 * 4);  // the convolution runs over x alone
  json last = plamo2_config();
  last["mamba_step"] = 8;
  CHECK(kinds_of(last) == "mmma");
  last["mamba_enabled"] = false;
  CHECK(kinds_of(last) == "wwwa");
}

TEST_CASE("Mamba-2 families read other layer orders and dimensions") {
  json bamba = config_of("bamba");
  bamba["attn_layer_indices"] = {0, 3};
  CHECK(kinds_of(bamba) == "amma");
  bamba["attn_layer_indices"] = nullptr;
  CHECK(kinds_of(bamba) == "mmmm");
  bamba["mamba_d_head"] = "auto";
  CHECK(state_bytes(bamba) == 2304 + 8192);
  bamba["mamba_n_heads"] = 4;
  bamba["mamba_n_groups"] = 4;
  bamba["mamba_d_conv"] = 3;
  CHECK(state_bytes(bamba) == 2 * 256 * 4 + 8192);

  json falcon = config_of("falcon_h1");
  falcon["mamba_d_ssm"] = nullptr;  // expand * hidden
  falcon["mamba_d_head"] = "auto";
  falcon["mamba_n_heads"] = 8;
  CHECK(state_bytes(falcon) == 2304 + 8192);
  falcon.erase("mamba_d_ssm");  // heads of a stated size
  falcon["mamba_d_head"] = 16;
  falcon["mamba_n_heads"] = 6;
  CHECK(state_bytes(falcon) == 1920 + 6144);

  json nemotron = config_of("nemotron_h");
  nemotron["hybrid_override_pattern"] = "*M-E";
  nemotron["mamba_num_heads"] = 6;  // whatever `expand` says
  CHECK(kinds_of(nemotron) == "am");
  nemotron["layers_block_type"] = {"mamba", "attention", "mlp", "moe", "linear_attention", "full_attention"};
  CHECK(kinds_of(nemotron) == "mama");
  CHECK(state_bytes(nemotron) == 1920 + 6144);

  json zamba = config_of("zamba2");
  zamba["layers_block_type"] = {"hybrid", "mamba", "linear_attention", "mamba", "mamba", "hybrid"};
  CHECK(kinds_of(zamba) == "ammmmmam");
}

TEST_CASE("Granite's layer kinds in each spelling") {
  json granite = config_of("granitemoehybrid_dense");
  granite.erase("layers_block_type");
  granite["layer_types"] = {"mamba", "attention", "mamba", "attention"};
  CHECK(kinds_of(granite) == "mama");
  granite["layer_types"] = {"full_attention", "linear_attention", "linear_attention", "full_attention"};
  CHECK(kinds_of(granite) == "amma");
  granite["layers_block_type"] = granite["layer_types"];
  granite.erase("layer_types");
  CHECK(kinds_of(granite) == "amma");
  json plain = granite;
  plain.erase("layers_block_type");
  CHECK(kinds_of(plain) == "mmmm");
  check_error(granite, "layers_block_type", {"mamba", "mamba", "conv", "mamba"}, "Valid kinds: mamba, attention");
  check_error(granite, "layers_block_type", {"mamba"}, "has 1 entries");
  check_error(granite, "position_embedding_type", "alibi", "Valid values: rope, nope");
  check_error(granite, "normalization_function", "layernorm", "rmsnorm");
}

TEST_CASE("options of Mamba-2 families that are not there are refused by name") {
  const json bamba = config_of("bamba");
  check_error(bamba, "hidden_act", "gelu", "silu");
  check_error(bamba, "attn_layer_indices", {4}, "from 0 to 3");
  check_error(bamba, "mamba_n_groups", 3, "does not divide the 8 heads");
  check_error(bamba, "mamba_n_heads", 7, "times `mamba_d_head` is 112");
  check_error(bamba, "time_step_limit", {0.1}, "two numbers");

  const json falcon = config_of("falcon_h1");
  check_error(falcon, "hidden_act", "gelu", "silu");
  check_error(falcon, "ssm_multipliers", {1.0, 2.0}, "must have 5");
  check_error(falcon, "mlp_multipliers", {1.0}, "must have 2");
  check_error(falcon, "mamba_n_heads", 5, "channels are 96");

  const json nemotron = config_of("nemotron_h");
  check_error(nemotron, "hybrid_override_pattern", "M-X", "Valid letters: M (Mamba-2)");
  check_error(nemotron, "layers_block_type", {"mamba", "conv"}, "Valid kinds: mamba, attention, mlp, moe");
  check_error(nemotron, "mamba_hidden_act", "gelu", "silu");
  check_error(nemotron, "mlp_hidden_act", "swiglu", "relu2");
  check_error(nemotron, "attention_bias", true, "must be false");
  check_error(nemotron, "sliding_window", 128, "full attention");
  check_error(config_of("nemotron_h_moe"), "n_shared_experts", 2, "`1`");
  check_error(config_of("nemotron_h_moe"), "n_group", 3, "does not divide");

  const json zamba = config_of("zamba2");
  check_error(zamba, "hidden_act", "mish", "gelu");
  check_error(zamba, "use_long_context", true, "must be false");
  check_error(zamba, "layers_block_type", {"hybrid"}, "has 1 entries");
  check_error(zamba, "layers_block_type", {"mamba", "attention"}, "Valid kinds: mamba, linear_attention, hybrid");
  json grouped = zamba;
  grouped["num_key_value_heads"] = 2;
  check_error(grouped, "use_shared_attention_adapter", true, "as many key/value heads");

  const json plamo2 = plamo2_config();
  check_error(plamo2, "linear_type", "fp8", "normal");
  check_error(plamo2, "image_feature_size", 64, "text only");
  check_error(plamo2, "full_attention_idx", {4}, "from 0 to 3");
  check_error(plamo2, "mamba_step", 1, "2");
}
