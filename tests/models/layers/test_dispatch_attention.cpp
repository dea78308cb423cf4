#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "models/layers/cache_group.h"
#include "models/model.h"
#include "tests/models/backends/fake_platform.h"
#include "tests/temp_folder.h"

// Families of attention, short convolutions and lightning attention: what each layer is, without weights.

using namespace krait;
using nlohmann::json;

namespace {

const std::string kModels = std::string(KRAIT_SOURCE_DIR) + "/tests/golden/models/";

/// One spec of one layer: layer, kind, backend, bytes a token and bytes a request.
struct SpecRow {
  std::string name;
  std::string kind;
  std::string backend;
  std::size_t bytes_per_token;
  std::size_t bytes_per_request;
  bool operator==(const SpecRow&) const = default;
};

std::ostream& operator<<(std::ostream& out, const SpecRow& row) {
  return out << row.name << " " << row.kind << " " << row.backend << " " << row.bytes_per_token << " "
             << row.bytes_per_request;
}

json config_of(const std::string& fixture) { return json::parse(std::ifstream(kModels + fixture + "/config.json")); }

std::vector<SpecRow> specs_of(const json& config) {
  const test::TempFolder folder;
  folder.write("config.json", config.dump());
  test::HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(folder.path(), context);
  std::vector<SpecRow> rows;
  for (const AttentionLayerBase* layer : model->attention_layers()) {
    const std::vector<CacheSpec> specs = layer->cache_specs();
    for (std::size_t i = 0; i < specs.size(); ++i) {
      rows.push_back({layer->name(), kind_of(specs[i]), std::string(layer->get_attn_backend(i)->name()),
                      bytes_per_token(specs[i]), bytes_per_request(specs[i])});
    }
  }
  return rows;
}

/// The kinds alone, of a fixture whose config is patched (null removes a key).
std::vector<std::string> kinds_of(const std::string& fixture, const json& patch) {
  json config = config_of(fixture);
  config.merge_patch(patch);
  std::vector<std::string> kinds;
  for (const SpecRow& row : specs_of(config)) kinds.push_back(row.kind);
  return kinds;
}

std::string error_with(const std::string& fixture, const json& patch) {
  json config = config_of(fixture);
  config.merge_patch(patch);
  try {
    static_cast<void>(specs_of(config));
  } catch (const StartupError& error) {
    return error.what();
  }
  return "";
}

bool mentions(const std::string& text, const std::string& part) {
  CAPTURE(text, part);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

std::string layer(int index, const std::string& part) { return "model.layers." + std::to_string(index) + "." + part; }
SpecRow full(int index, std::size_t bytes) {
  return {layer(index, "self_attn"), "full_attention", "paged_attention", bytes, 0};
}
SpecRow sliding(int index, std::size_t bytes) {
  return {layer(index, "self_attn"), "sliding_window", "paged_attention", bytes, 0};
}
SpecRow conv(int index, std::size_t bytes) { return {layer(index, "conv"), "short_conv", "short_conv", 0, bytes}; }
SpecRow linear(int index, std::size_t bytes) {
  return {layer(index, "self_attn"), "linear_attention", "linear_attention", 0, bytes};
}
SpecRow cca(int index, std::size_t bytes) { return {layer(index, "self_attn"), "short_conv", "short_conv", 0, bytes}; }

}  // namespace

TEST_CASE("dispatch of attention, short convolution and lightning attention families") {
  CHECK(specs_of(config_of("qwen3")) == std::vector<SpecRow>{full(0, 384), full(1, 384), full(2, 384)});
  CHECK(specs_of(config_of("mistral_swa")) == std::vector<SpecRow>{sliding(0, 256), sliding(1, 256), sliding(2, 256)});
  // two rows of 64 inputs in float32
  CHECK(specs_of(config_of("lfm2")) == std::vector<SpecRow>{conv(0, 512), full(1, 256), conv(2, 512), full(3, 256)});
  CHECK(specs_of(config_of("lfm2_moe")) ==
        std::vector<SpecRow>{conv(0, 512), full(1, 256), conv(2, 512), full(3, 256)});
  CHECK(specs_of(config_of("lfm3")) ==
        std::vector<SpecRow>{conv(0, 1536), full(1, 256), conv(2, 1536), sliding(3, 256), conv(4, 1536)});
  CHECK(specs_of(config_of("minimax")) ==
        std::vector<SpecRow>{linear(0, 4096), full(1, 256), linear(2, 4096), linear(3, 4096)});
  CHECK(specs_of(config_of("gemma3")) ==
        std::vector<SpecRow>{sliding(0, 256), full(1, 256), sliding(2, 256), full(3, 256)});
  CHECK(specs_of(config_of("gpt_oss")) ==
        std::vector<SpecRow>{sliding(0, 256), full(1, 256), sliding(2, 256), full(3, 256)});
}

TEST_CASE("a ZAYA1 layer has a KV cache and the inputs of its convolutions, all in one state group") {
  // rows of 96 and 96 inputs and of 16 delayed values, each tensor on a 128-byte boundary
  CHECK(specs_of(config_of("zaya")) == std::vector<SpecRow>{full(0, 256), cca(0, 896), sliding(1, 256), cca(1, 896),
                                                            full(2, 256), cca(2, 896), full(3, 256), cca(3, 896)});
  test::HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(kModels + "zaya", context);
  const auto groups = form_cache_groups(model->attention_layers(), 16);
  REQUIRE(groups.size() == 3);
  CHECK(groups[1].spec_index == std::vector<std::size_t>(4, 1));
  CHECK_FALSE(groups[1].is_attention());
}

TEST_CASE("the cache of a later convolution tensor lies behind the first one's") {
  const auto tensor = [](std::int64_t rows, std::int64_t channels, DType dtype) {
    return StateTensorSpec{.role = StateTensorSpec::Role::kConv, .shape = {rows, channels}, .dtype = dtype};
  };
  MambaSpec spec;
  spec.tensors = {{.role = StateTensorSpec::Role::kRecurrent, .shape = {4}, .dtype = DType::kFloat32},
                  tensor(1, 96, DType::kFloat32),
                  tensor(1, 16, DType::kBFloat16)};
  std::vector<std::byte> slot(1024);
  const StateCacheView first{.conv = slot.data() + 128, .slot_stride = 1024};
  CHECK(conv_tensor(first, spec, 1).conv == slot.data() + 128);
  CHECK(conv_tensor(first, spec, 1).conv_dtype == DType::kFloat32);
  CHECK(conv_tensor(first, spec, 2).conv == slot.data() + 512);
  CHECK(conv_tensor(first, spec, 2).conv_dtype == DType::kBFloat16);
  CHECK(conv_tensor(first, spec, 2).slot_stride == 1024);
}

TEST_CASE("layer kinds follow each family's rules where `layer_types` is absent") {
  using Kinds = std::vector<std::string>;
  const json none = {{"layer_types", nullptr}};
  CHECK(kinds_of("lfm2", none) == Kinds(4, "full_attention"));
  CHECK(kinds_of("lfm2", {{"layer_types", nullptr}, {"full_attn_idxs", {2}}}) ==
        Kinds{"short_conv", "short_conv", "full_attention", "short_conv"});
  CHECK(kinds_of("minimax", none) == Kinds{"full_attention", "linear_attention", "full_attention", "linear_attention"});
  CHECK(kinds_of("minimax", {{"layer_types", nullptr}, {"attn_type_list", {0, 0, 0, 1}}}) ==
        Kinds{"linear_attention", "linear_attention", "linear_attention", "full_attention"});
  CHECK(kinds_of("gemma3", none) == Kinds(4, "sliding_window"));
  CHECK(kinds_of("gemma3", {{"layer_types", nullptr}, {"sliding_window_pattern", 3}}) ==
        Kinds{"sliding_window", "sliding_window", "full_attention", "sliding_window"});
  CHECK(kinds_of("gpt_oss", none) == Kinds{"sliding_window", "full_attention", "sliding_window", "full_attention"});
  CHECK(kinds_of("qwen3", none) == Kinds(3, "full_attention"));
  CHECK(kinds_of("qwen3", {{"layer_types", nullptr},
                           {"use_sliding_window", true},
                           {"sliding_window", 8},
                           {"max_window_layers", 1}}) == Kinds{"full_attention", "sliding_window", "sliding_window"});
}

TEST_CASE("mistral has a window of 4096 unless its config says another one or null") {
  json config = config_of("mistral_swa");
  config["sliding_window"] = nullptr;
  CHECK(specs_of(config).front().kind == "full_attention");
  config.erase("sliding_window");
  CHECK(specs_of(config).front().kind == "sliding_window");
}

TEST_CASE("configs of these families that cannot be served are refused with the key and what is valid") {
  mentions(error_with("lfm2", {{"layer_types", {"conv", "mamba", "conv", "conv"}}}),
           "`layer_types` has the layer kind 'mamba'. Valid kinds: conv, full_attention");
  mentions(error_with("lfm2", {{"layer_types", {"conv", "conv"}}}),
           "`layer_types` has 2 entries, but `num_hidden_layers` is 4");
  mentions(error_with("lfm2", {{"layer_types", nullptr}, {"full_attn_idxs", {4}}}),
           "`full_attn_idxs` must number layers from 0 to 3");
  mentions(error_with("lfm2", {{"conv_L_cache", 1}}), "`conv_L_cache` must be an integer from 2");
  mentions(error_with("lfm2_moe", {{"num_experts_per_tok", 7}}), "`num_experts_per_tok` is 7");
  mentions(error_with("lfm3", {{"sliding_window", nullptr}}), "`sliding_window`");
  mentions(error_with("minimax", {{"hidden_act", "gelu"}}), "`hidden_act`");
  mentions(error_with("minimax", {{"layer_types", nullptr}, {"attn_type_list", {0, 2, 0, 1}}}), "`attn_type_list`");
  mentions(error_with("gemma3", {{"hidden_activation", "silu"}}), "`hidden_activation`");
  mentions(error_with("gemma3", {{"use_bidirectional_attention", true}}), "`use_bidirectional_attention`");
  mentions(error_with("gpt_oss", {{"swiglu_alpha", 1.5}}), "`swiglu_alpha`");
  mentions(error_with("gpt_oss", {{"num_key_value_heads", 3}}), "do not divide the number of attention heads");
  mentions(error_with("qwen3", {{"layer_types", {"full_attention", "full_attention", "sliding_attention"}}}),
           "`use_sliding_window` is false");
  mentions(error_with("zaya", {{"num_experts_per_tok", 2}}), "`num_experts_per_tok`");
  mentions(error_with("zaya", {{"lm_head_bias", true}}), "`lm_head_bias`");
  mentions(error_with("zaya", {{"sliding_window", nullptr}}), "`sliding_window`");
}

TEST_CASE("key/value heads that are null are as many as the query heads, whatever is the default of an absent key") {
  for (const char* fixture :
       {"bamba", "falcon_h1", "gpt_oss", "jamba", "lfm2", "minimax", "mistral_swa", "nemotron_h"}) {
    CAPTURE(fixture);
    json config = config_of(fixture);
    config["num_key_value_heads"] = config["num_attention_heads"];
    const std::vector<SpecRow> as_many = specs_of(config);
    config["num_key_value_heads"] = nullptr;
    CHECK(specs_of(config) == as_many);
  }
}

TEST_CASE("gpt-oss without a window has full attention") {
  json config = config_of("gpt_oss");
  config["sliding_window"] = nullptr;
  CHECK(specs_of(config).front().kind == "full_attention");
}

TEST_CASE("heads that no model has are refused before anything is made for them") {
  constexpr int kMany = 2'000'000'000;
  for (const char* fixture : {"llama", "qwen3_next", "minimax"}) {
    CAPTURE(fixture);
    mentions(error_with(fixture, {{"num_attention_heads", kMany}, {"num_key_value_heads", 1}}),
             "`num_attention_heads`");
    mentions(error_with(fixture, {{"head_dim", kMany}}), "`head_dim`");
  }
}

TEST_CASE("an error of a layer names the file, and one of the key/value heads the key") {
  for (const char* fixture : {"llama", "nemotron_h", "zamba", "zamba2_plain", "zaya"}) {
    CAPTURE(fixture);
    const std::string error = error_with(fixture, {{"num_key_value_heads", 3}});
    mentions(error, "config.json: `num_key_value_heads` is 3");
    mentions(error, "do not divide the number of attention heads (4)");
  }
  mentions(error_with("qwen3_next", {{"linear_num_key_heads", 3}}), "config.json: layer 'model.layers.0.linear_attn'");
  mentions(error_with("jamba", {{"num_experts_per_tok", 5}}), "config.json: `num_experts_per_tok` is 5");
}
