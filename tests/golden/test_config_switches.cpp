#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "golden_file.h"
#include "kernels/cpu/cpu_platform.h"
#include "models/weights/safetensors_file.h"
#include "models/weights/weight_loader.h"
#include "tests/models/weights/safetensors_bytes.h"
#include "tests/temp_folder.h"
#include "tiny_model.h"

// golden.json lists config values and by how much the reference's logits move when one of them is changed, all else
// (the weights too) left as it is. Ours must move by as much.

using namespace krait;
using namespace krait::test;
using nlohmann::json;

namespace {

/// The reference's changed values, of a key or of one fixture's key ("fixture/key"). Of the other keys: booleans are
/// negated, numbers become 1.
const json& changed_values() {
  static const json values = {
      {"rms_norm_eps", 0.1},
      {"norm_eps", 0.1},
      {"layer_norm_epsilon", 0.1},
      {"mamba/layer_norm_epsilon", 0.01},
      {"mixer_rms_eps", 0.1},
      {"query_pre_attn_scalar", 64},
      {"sliding_window", 4096},
      {"attention_window_size", 4096},
      {"logits_soft_cap", 100.0},
      {"time_step_min", 1e-7},
      {"time_step_limit", {0.0, {{"__float__", "Infinity"}}}},
      {"mlp_multipliers", {1.0, 1.0}},
      {"ssm_multipliers", {1.0, 1.0, 1.0, 1.0, 1.0}},
      {"hidden_act", "silu"},
      {"mlp_hidden_act", "silu"},
      {"granitemoehybrid_dense/position_embedding_type", "rope"},
      {"granitemoehybrid_moe/position_embedding_type", nullptr},
      {"bamba/rope_parameters", {{"rope_theta", 100.0}}},
      {"qwen3_5/rope_parameters", {{"partial_rotary_factor", 1.0}}},
      {"qwen3_next/rope_parameters", {{"partial_rotary_factor", 1.0}}},
  };
  return values;
}

void change(json& config, const std::string& fixture, const std::string& key) {
  json& value = config[key];
  const json& values = changed_values();
  const auto own = values.find(fixture + "/" + key);
  const auto other = own != values.end() ? own : values.find(key);
  if (other == values.end()) {
    value = value.is_boolean() ? json(!value.get<bool>()) : json(1);
  } else if (other->is_object()) {
    value.update(*other);
  } else {
    value = *other;
  }
}

std::map<std::string, Shape> planned_tensors(const std::string& folder) {
  CpuPlatform platform(CpuOptions{.threads = 1});
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(folder, context);
  WeightLoader planner(DType::kFloat32);
  model->load_weights(planner, platform, 1);
  return planner.taken();
}

/// The weights of the fixture in `source` without those that the changed config in `folder` no longer asks for.
void write_tensors(const TempFolder& folder, const std::string& source) {
  const SafetensorsFile file(source + "/model.safetensors");
  const std::map<std::string, Shape> before = planned_tensors(source);
  const std::map<std::string, Shape> after = planned_tensors(folder.path());
  json header = json::object();
  std::string data;
  for (const auto& [name, entry] : file.entries()) {
    if (before.contains(name) && !after.contains(name)) continue;
    std::vector<std::int64_t> dims;
    for (int axis = 0; axis < entry.shape.rank(); ++axis) dims.push_back(entry.shape[axis]);
    header[name] = {{"dtype", entry.dtype == DType::kFloat32 ? "F32" : "BF16"},
                    {"shape", dims},
                    {"data_offsets", {data.size(), data.size() + entry.bytes}}};
    data.append(static_cast<const char*>(file.view(entry).data), entry.bytes);
  }
  folder.write("model.safetensors", safetensors_bytes(header.dump(), data));
}

std::vector<Row> logits_of(const std::string& folder, const std::vector<std::int32_t>& ids) {
  TinyModel model(folder);
  Sequence sequence = model.start();
  return model.run(sequence, ids);
}

float largest_difference(const std::vector<Row>& a, const std::vector<Row>& b) {
  float largest = 0;
  for (std::size_t row = 0; row < a.size(); ++row) {
    for (std::size_t i = 0; i < a[row].size(); ++i) largest = std::max(largest, std::abs(a[row][i] - b[row][i]));
  }
  return largest;
}

}  // namespace

TEST_CASE("a changed config value moves the logits of every fixture by as much as the reference's") {
  for (const std::string& fixture : fixture_folders()) {
    const std::string path = std::string(KRAIT_SOURCE_DIR) + "/" + fixture;
    const std::string name = std::filesystem::path(fixture).filename();
    const json effects = json::parse(std::ifstream(path + "/golden.json")).at("config_switch_effects");
    const Golden golden = read_golden(fixture);
    std::vector<std::int32_t> ids = golden.prompts.back().ids;
    const auto& generated = golden.prompts.back().generated;
    ids.insert(ids.end(), generated.begin(), generated.end());
    const std::vector<Row> before = logits_of(fixture, ids);
    for (const auto& [key, effect] : effects.items()) {
      if (key == "n_mamba_heads") continue;  // the reference's other count needs other weights
      json config = json::parse(std::ifstream(path + "/config.json"));
      change(config, name, key);
      CAPTURE(name, key, config[key].dump());
      const TempFolder folder;
      folder.write("config.json", config.dump());
      write_tensors(folder, path);
      const float found = largest_difference(before, logits_of(folder.path(), ids));
      CHECK(std::abs(found - effect.get<float>()) <= 2 * golden.tolerance);
    }
  }
}

TEST_CASE("a key that is absent means what it does in transformers") {
  const json yarn = {{"rope_type", "yarn"},
                     {"rope_theta", 150000.0},
                     {"factor", 32.0},
                     {"truncate", false},
                     {"original_max_position_embeddings", 4096}};
  const std::vector<std::pair<std::string, json>> defaults = {
      {"gpt_oss", {{"rope_parameters", yarn}}},
      {"granitemoehybrid_moe", {{"rms_norm_eps", 1e-6}, {"mamba_chunk_size", 256}}},
      {"bamba", {{"rms_norm_eps", 1e-5}, {"mamba_chunk_size", 256}, {"mamba_d_conv", 4}}},
      {"mamba2", {{"layer_norm_epsilon", 1e-5}, {"chunk_size", 256}}},
      {"zamba2", {{"chunk_size", 256}, {"rms_norm_eps", 1e-5}}},
      {"nemotron_h", {{"chunk_size", 128}, {"time_step_min", 1e-3}, {"mlp_hidden_act", "relu2"}}},
      {"deepseek_v3", {{"n_shared_experts", 1}, {"routed_scaling_factor", 2.5}, {"norm_topk_prob", true}}},
  };
  for (const auto& [name, values] : defaults) {
    const std::string path = std::string(KRAIT_SOURCE_DIR) + "/tests/golden/models/" + name;
    const std::vector<std::int32_t> ids = read_golden("tests/golden/models/" + name).prompts.back().ids;
    for (const auto& [key, value] : values.items()) {
      CAPTURE(name, key);
      const TempFolder folder;
      std::filesystem::create_symlink(path + "/model.safetensors", folder.file("model.safetensors"));
      json config = json::parse(std::ifstream(path + "/config.json"));
      config[key] = value;
      folder.write("config.json", config.dump());
      const std::vector<Row> stated = logits_of(folder.path(), ids);
      config.erase(key);
      folder.write("config.json", config.dump());
      CHECK(logits_of(folder.path(), ids) == stated);
    }
  }
}
