#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/cpu/cpu_platform.h"
#include "models/weights/weight_loader.h"
#include "tests/models/layers/dispatch_rows.h"
#include "tests/models/layers/random_checkpoint.h"

using namespace krait;
using nlohmann::json;
using test::dispatch;
using test::model_error;
using test::Row;

namespace {

Row recurrent(const std::string& name, const std::string& type, std::size_t bytes) {
  return {name, type, type, 0, bytes};
}
Row attention(const std::string& name, std::size_t bytes, const std::string& kind = "full_attention") {
  return {name, kind, "paged_attention", bytes, 0};
}

std::string golden(const std::string& name) { return "tests/golden/models/" + name; }

json config_of(const std::string& fixture) {
  std::ifstream file(std::string(KRAIT_SOURCE_DIR) + "/" + golden(fixture) + "/config.json");
  return json::parse(file);
}

void check_error(const std::string& fixture, const std::string& key, const json& value, const std::string& part) {
  json config = config_of(fixture);
  config[key] = value;
  const std::string error = model_error(config.dump());
  CAPTURE(fixture, key, error);
  CHECK(error.find(part) != std::string::npos);
}

/// The layers' kinds, one letter each: m, a or r; attention and Mamba of one layer are two.
std::string kinds_of(const json& config) {
  const test::TempFolder folder;
  folder.write("config.json", config.dump());
  test::HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(folder.path(), context);
  std::string kinds;
  for (const AttentionLayerBase* layer : model->attention_layers()) {
    const std::string kind = kind_of(layer->cache_specs().at(0));
    kinds += kind == "mamba1" ? 'm' : (kind == "rg_lru" ? 'r' : 'a');
  }
  return kinds;
}

/// The bytes of the first layer's state.
std::size_t state_bytes(const json& config) {
  const test::TempFolder folder;
  folder.write("config.json", config.dump());
  test::HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(folder.path(), context);
  return bytes_per_request(model->attention_layers().front()->cache_specs().at(0));
}

}  // namespace

TEST_CASE("dispatch of the Mamba-1 families and RecurrentGemma: layer, kind, backend, specs") {
  // conv (K-1) x channels and channels x state, in float32
  const std::size_t mamba1 = 1536 + 8192;
  for (const std::string name : {"mamba", "falcon_mamba"}) {
    CHECK(dispatch(golden(name)) == std::vector<Row>{recurrent("backbone.layers.0.mixer", "mamba1", mamba1),
                                                     recurrent("backbone.layers.1.mixer", "mamba1", mamba1),
                                                     recurrent("backbone.layers.2.mixer", "mamba1", mamba1)});
  }
  CHECK(dispatch(golden("jamba")) ==
        std::vector<Row>{
            recurrent("model.layers.0.mamba", "mamba1", mamba1), recurrent("model.layers.1.mamba", "mamba1", mamba1),
            attention("model.layers.2.self_attn", 256), recurrent("model.layers.3.mamba", "mamba1", mamba1),
            recurrent("model.layers.4.mamba", "mamba1", mamba1), attention("model.layers.5.self_attn", 256)});
  CHECK(dispatch(golden("zamba")) == std::vector<Row>{recurrent("model.layers.0.mamba", "mamba1", mamba1),
                                                      attention("model.layers.1.shared_transf.self_attn", 512),
                                                      recurrent("model.layers.1.mamba_decoder.mamba", "mamba1", mamba1),
                                                      recurrent("model.layers.2.mamba", "mamba1", mamba1),
                                                      attention("model.layers.3.shared_transf.self_attn", 512),
                                                      recurrent("model.layers.3.mamba_decoder.mamba", "mamba1", mamba1),
                                                      recurrent("model.layers.4.mamba", "mamba1", mamba1)});
  const std::size_t rg_lru = 768 + 256;
  CHECK(dispatch(golden("recurrent_gemma")) ==
        std::vector<Row>{recurrent("model.layers.0.temporal_block", "rg_lru", rg_lru),
                         recurrent("model.layers.1.temporal_block", "rg_lru", rg_lru),
                         attention("model.layers.2.temporal_block", 128, "sliding_window"),
                         recurrent("model.layers.3.temporal_block", "rg_lru", rg_lru)});
}

TEST_CASE("where the Mamba-1 families keep their attention layers") {
  json jamba = config_of("jamba");
  CHECK(kinds_of(jamba) == "mmamma");
  jamba["attn_layer_period"] = 4;
  jamba["attn_layer_offset"] = 0;
  CHECK(kinds_of(jamba) == "ammmam");
  jamba.erase("attn_layer_period");
  jamba.erase("attn_layer_offset");
  CHECK(kinds_of(jamba) == "mmmmam");

  json zamba = config_of("zamba");
  zamba["layers_block_type"] = {"mamba", "mamba", "hybrid", "mamba", "hybrid"};
  CHECK(kinds_of(zamba) == "mmammam");
  zamba.erase("layers_block_type");
  zamba["num_hidden_layers"] = 10;
  CHECK(kinds_of(zamba) == "mmammmmmammm");
  zamba["attn_layer_period"] = 2;
  zamba["attn_layer_offset"] = 1;
  CHECK(kinds_of(zamba) == "mmammammammamm");

  json gemma = config_of("recurrent_gemma");
  gemma["block_types"] = {"attention", "recurrent"};
  CHECK(kinds_of(gemma) == "arar");
  gemma.erase("block_types");
  CHECK(kinds_of(gemma) == "rrar");
}

TEST_CASE("the inner size of a Mamba layer is the stated one, else a multiple of the hidden size") {
  json mamba = config_of("mamba");
  mamba["expand"] = 16;  // Falcon Mamba 7B states both, and they disagree
  CHECK(state_bytes(mamba) == 1536 + 8192);
  mamba.erase("intermediate_size");
  CHECK(state_bytes(mamba) == 8 * (1536 + 8192));
  mamba.erase("expand");
  CHECK(state_bytes(mamba) == 1536 + 8192);
}

TEST_CASE("a config that says nothing of tied embeddings means what its family's does in transformers") {
  for (const auto& [fixture, tied] :
       {std::pair{"mamba", true}, std::pair{"falcon_mamba", true}, std::pair{"jamba", false}, std::pair{"zamba", true},
        std::pair{"recurrent_gemma", true}, std::pair{"zaya", true}}) {
    json config = config_of(fixture);
    config.erase("tie_word_embeddings");
    const test::TempFolder folder;
    folder.write("config.json", config.dump());
    CAPTURE(fixture);
    CHECK(peek_model_config(folder.path()).tie_word_embeddings == tied);
  }
}

TEST_CASE("an older spelling of Mamba's embedding is read, as the tied head too") {
  test::RandomCheckpoint checkpoint;
  checkpoint.add("backbone.embedding.weight", {16, 8});
  checkpoint.add("backbone.norm_f.weight", {8});
  checkpoint.add("backbone.layers.0.norm.weight", {8});
  const std::string mixer = "backbone.layers.0.mixer.";
  checkpoint.add_linear(mixer + "in_proj", 24, 8);
  checkpoint.add(mixer + "conv1d.weight", {12, 1, 4});
  checkpoint.add(mixer + "conv1d.bias", {12});
  checkpoint.add_linear(mixer + "x_proj", 1 + 2 * 4, 12);
  checkpoint.add_linear(mixer + "dt_proj", 12, 1);
  checkpoint.add(mixer + "dt_proj.bias", {12});
  checkpoint.add(mixer + "A_log", {12, 4});
  checkpoint.add(mixer + "D", {12});
  checkpoint.add_linear(mixer + "out_proj", 8, 12);
  checkpoint.write();
  const test::TempFolder folder;
  folder.write("config.json", R"({"architectures": ["MambaForCausalLM"], "model_type": "mamba", "hidden_size": 8,
    "vocab_size": 16, "num_hidden_layers": 1, "state_size": 4, "intermediate_size": 12})");
  CpuPlatform platform(CpuOptions{.threads = 1});
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(folder.path(), context);
  const Checkpoint weights(checkpoint.folder());
  WeightLoader loader(weights, platform, DType::kFloat32);
  model->load_weights(loader, platform, 16);
  CHECK_NOTHROW(loader.finish());
}

TEST_CASE("configs of the Mamba-1 families and RecurrentGemma that cannot be served are refused by key") {
  check_error("mamba", "hidden_act", "gelu", "`hidden_act` must be `silu`");
  check_error("mamba", "time_step_rank", "half", "`time_step_rank` must be `auto`");
  check_error("falcon_mamba", "state_size", 0, "`state_size`");
  check_error("jamba", "hidden_act", "relu", "`hidden_act`");
  check_error("jamba", "attn_layer_offset", 3, "`attn_layer_offset` is 3, which must be below `attn_layer_period` (3)");
  check_error("jamba", "expert_layer_offset", 2, "`expert_layer_offset`");
  check_error("jamba", "sliding_window", 128, "`sliding_window` must be null");
  check_error("jamba", "mamba_inner_layernorms", false, "`mamba_inner_layernorms` must be true");
  check_error("jamba", "num_experts_per_tok", 5, "5");
  check_error("zamba", "hidden_act", "mish", "Valid activations: silu,");
  check_error("zamba", "hidden_mamba_act", "gelu", "`hidden_mamba_act`");
  check_error("zamba", "attention_hidden_size", 64, "`attention_hidden_size` is 64");
  check_error("zamba", "n_mamba_heads", 3, "3 Mamba heads do not divide the number of channels (128)");
  check_error("zamba", "num_hidden_layers", 6, "`layers_block_type` has 5 entries, but `num_hidden_layers` is 6");
  check_error("zamba", "layers_block_type", json{"mamba", "attention", "mamba", "mamba", "mamba"},
              "the layer kind 'attention'. Valid kinds: mamba, linear_attention, hybrid");
  check_error("recurrent_gemma", "block_types", json{"recurrent", "mlp"},
              "the layer kind 'mlp'. Valid kinds: recurrent, attention");
  check_error("recurrent_gemma", "block_types", json::array(), "`block_types` must name at least one kind of layer");
  check_error("recurrent_gemma", "intermediate_size", 191, "`intermediate_size` must be even, found 191");
  check_error("recurrent_gemma", "lru_width", 62, "4 heads do not divide the width of the RG-LRU (62)");
  check_error("recurrent_gemma", "embeddings_scale_by_sqrt_dim", false, "`embeddings_scale_by_sqrt_dim` must be true");
  check_error("recurrent_gemma", "hidden_activation", "mish", "`hidden_activation`");
}
