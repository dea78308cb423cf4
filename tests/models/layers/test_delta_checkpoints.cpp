#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "kernels/cpu/cpu_platform.h"
#include "models/model.h"
#include "models/weights/weight_loader.h"
#include "tests/models/weights/safetensors_bytes.h"
#include "tests/temp_folder.h"

using namespace krait;
using nlohmann::json;

// Which tensors the delta-rule families ask for, by the headers of the fixtures' checkpoints.

namespace {

std::string fixture_bytes(const std::string& fixture, const std::string& file) {
  std::ifstream stream(std::string(KRAIT_SOURCE_DIR) + "/tests/golden/models/" + fixture + "/" + file,
                       std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

json config_of(const std::string& fixture) { return json::parse(fixture_bytes(fixture, "config.json")); }

/// The checkpoint with one more tensor.
std::string with_tensor(const std::string& file, const std::string& name) {
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof(length));
  json header = json::parse(file.substr(8, length));
  const std::size_t data = file.size() - 8 - length;
  header[name] = {{"dtype", "F32"}, {"shape", {1}}, {"data_offsets", {data, data + 4}}};
  return test::safetensors_bytes(header.dump(), file.substr(8 + length) + std::string(4, '\0'));
}

/// What start-up says to these tensors under this config; empty where they fit.
std::string load_error(const json& config, const std::string& tensors) {
  const test::TempFolder folder;
  folder.write("config.json", config.dump());
  folder.write("model.safetensors", tensors);
  CpuPlatform platform(CpuOptions{.threads = 1});
  const auto model = make_model(folder.path(), {.platform = platform, .mamba = {}, .parallel = {}});
  const Checkpoint checkpoint(folder.path());
  WeightLoader loader(checkpoint);
  model->load_weights(loader, platform, 16);
  try {
    loader.finish();
  } catch (const StartupError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("what does not serve text is left alone, and nothing else") {
  const std::string nested = fixture_bytes("qwen3_5_nested", "model.safetensors");
  const json config = config_of("qwen3_5_nested");
  CHECK(load_error(config, nested).empty());
  CHECK(load_error(config, with_tensor(nested, "model.visual.blocks.0.attn.qkv.weight")).empty());
  CHECK(load_error(config, with_tensor(nested, "mtp.layers.0.input_layernorm.weight")).empty());
  const std::string error = load_error(config, with_tensor(nested, "model.language_model.layers.9.weight"));
  CHECK(error.find("1 unexpected: model.language_model.layers.9.weight") != std::string::npos);
  json predicting = config_of("bailing_hybrid");
  const std::string bailing =
      with_tensor(fixture_bytes("bailing_hybrid", "model.safetensors"), "model.layers.4.eh_proj.weight");
  CHECK(load_error(predicting, bailing).find("1 unexpected: model.layers.4.eh_proj.weight") != std::string::npos);
  predicting["num_nextn_predict_layers"] = 1;
  CHECK(load_error(predicting, bailing).empty());
}

TEST_CASE("parameters of a language model need not be nested") {
  json config = config_of("qwen3_5_nested");
  config.update(json(config["text_config"]));
  config.erase("text_config");
  CHECK(load_error(config, fixture_bytes("qwen3_5_nested", "model.safetensors")).empty());
}

TEST_CASE("which layers of Qwen3-Next have experts") {
  const std::string tensors = fixture_bytes("qwen3_next", "model.safetensors");
  const auto has = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  json config = config_of("qwen3_next");
  CHECK(load_error(config, tensors).empty());
  // Layers 1 and 3 of four, of which 1 is dense.
  config["decoder_sparse_step"] = 2;
  std::string error = load_error(config, tensors);
  CHECK(has(error, "model.layers.0.mlp.gate_proj.weight"));
  CHECK(has(error, "model.layers.2.mlp.gate_proj.weight"));
  CHECK_FALSE(has(error, "model.layers.1.mlp"));
  CHECK_FALSE(has(error, "model.layers.3.mlp.gate_proj.weight"));
  config = config_of("qwen3_next");
  config["mlp_only_layers"] = json::array();
  error = load_error(config, tensors);
  CHECK(has(error, "model.layers.1.mlp.experts.0.down_proj.weight"));
  CHECK(has(error, "model.layers.1.mlp.gate.weight"));
}

TEST_CASE("which layers of Kimi Linear and Bailing hybrid have experts, and the width of the shared ones") {
  const std::string tensors = fixture_bytes("kimi_linear", "model.safetensors");
  const auto has = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  json config = config_of("kimi_linear");
  config["first_k_dense_replace"] = 2;
  CHECK(has(load_error(config, tensors), "model.layers.1.mlp.down_proj.weight"));
  config["mlp_layer_types"] = {"dense", "sparse", "sparse", "sparse"};
  CHECK(load_error(config, tensors).empty());
  config["num_shared_experts"] = 2;
  CHECK(has(load_error(config, tensors), "shared_experts.down_proj.weight (found [64, 32], expected [64, 64])"));
  config["num_shared_experts"] = 0;
  CHECK(has(load_error(config, tensors), "9 unexpected"));
  json bailing = config_of("bailing_hybrid");
  bailing["moe_shared_expert_intermediate_size"] = 24;
  CHECK(has(load_error(bailing, fixture_bytes("bailing_hybrid", "model.safetensors")),
            "shared_experts.down_proj.weight (found [64, 32], expected [64, 24])"));
}
