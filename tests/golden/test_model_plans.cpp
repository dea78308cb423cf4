// Plans from a config alone: they say what loading would find, and take no memory to say it.

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/serving_model.h"
#include "golden_file.h"
#include "kernels/cpu/cpu_platform.h"
#include "models/config/config_reader.h"
#include "tests/temp_folder.h"

using namespace krait;
using namespace krait::test;

namespace {

LoadOptions options_of(const std::string& folder) {
  LoadOptions options;
  options.model_path = folder;
  options.threads = 1;
  options.compute_dtype = DType::kFloat32;
  options.cache_memory.bytes = std::size_t{64} << 20;
  return options;
}

/// A folder with nothing but this config.
void write_config(const TempFolder& folder, const std::string& text) { folder.write("config.json", text); }

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Refuses to give memory for a weight, and counts what it gives.
class PlanningPlatform final : public CpuPlatform {
 public:
  explicit PlanningPlatform(std::atomic<std::size_t>& allocated)
      : CpuPlatform(CpuOptions{.threads = 1}), allocated_(allocated) {}
  Buffer allocate(std::size_t bytes) override {
    allocated_ += bytes;
    return CpuPlatform::allocate(bytes);
  }
  PackedWeight pack(const WeightSource&, const PackScheme&, const Shard&) override {
    KRAIT_BUG("planning packs nothing");
  }

 private:
  std::atomic<std::size_t>& allocated_;
};

}  // namespace

TEST_CASE("a plan from the config alone counts the parameters that loading finds") {
  for (const std::string& fixture : fixture_folders()) {
    CAPTURE(fixture);
    const std::string path = std::string(KRAIT_SOURCE_DIR) + "/" + fixture;
    const TempFolder folder;
    write_config(folder, read_text(path + "/config.json"));
    const ModelSummary from_config = plan_model(options_of(folder.path()));
    const ModelSummary from_headers = plan_model(options_of(path));
    const auto loaded = ServingModel::load(options_of(path));
    CHECK(!from_config.has_weights);
    CHECK(from_headers.has_weights);
    CHECK(from_config.parameters > 0);
    CHECK(from_config.parameters == loaded->summary().parameters);
    CHECK(from_headers.parameters == loaded->summary().parameters);
    CHECK(from_config.weight_bytes > 0);
    CHECK(from_config.state_bytes_per_request == loaded->summary().state_bytes_per_request);
    CHECK(from_config.kv_bytes_per_token == loaded->summary().kv_bytes_per_token);
  }
}

TEST_CASE("planning a model of half a trillion parameters takes no memory for it") {
  const TempFolder folder;
  write_config(folder, R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 16384,
    "intermediate_size": 65536, "num_attention_heads": 128, "num_key_value_heads": 8, "num_hidden_layers": 140,
    "vocab_size": 256000, "rms_norm_eps": 1e-5, "hidden_act": "silu", "max_position_embeddings": 1048576,
    "torch_dtype": "bfloat16", "tie_word_embeddings": false})");
  std::atomic<std::size_t> allocated = 0;
  LoadOptions options = options_of(folder.path());
  options.make_platform = [&] { return std::make_unique<PlanningPlatform>(allocated); };
  const ModelSummary summary = plan_model(options);
  // Per layer: q and o 16384², k and v 1024 × 16384, three of 65536 × 16384, two norms; then both ends and a norm.
  const std::int64_t layer = 2LL * 16384 * 16384 + 2LL * 1024 * 16384 + 3LL * 65536 * 16384 + 2 * 16384;
  CHECK(summary.parameters == 140 * layer + 2LL * 256000 * 16384 + 16384);
  CHECK(summary.weight_bytes == static_cast<std::size_t>(2 * summary.parameters + 2 * 16384 * 281));
  CHECK(allocated == 0);
}

TEST_CASE("a plan says what fits the cache budget") {
  const TempFolder folder;
  write_config(folder, R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
    "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2,
    "vocab_size": 32, "rms_norm_eps": 1e-5, "hidden_act": "silu", "max_position_embeddings": 1000})");
  LoadOptions options = options_of(folder.path());
  options.cache_memory.bytes = 1'000'000;
  const ModelSummary summary = plan_model(options);
  REQUIRE(summary.cache_groups.size() == 1);
  CHECK(summary.family == "Llama");
  CHECK(summary.cache_groups[0].kind == "full_attention");
  CHECK(summary.cache_groups[0].spec == "2 KV heads of 16, float32");
  CHECK(summary.cache_groups[0].layers == 2);
  CHECK(summary.cache_groups[0].block_size == 16);
  // K and V of 2 heads of 16 in float32, in two layers.
  CHECK(summary.kv_bytes_per_token == 2 * 2 * 16 * 4 * 2);
  CHECK(summary.cache_groups[0].bytes_per_token == summary.kv_bytes_per_token);
  CHECK(summary.cache_capacity.requests == 1'000'000 / (16 * 512));
  CHECK(summary.cache_capacity.requests_of_full_len == 1'000'000 / (63 * 16 * 512));
  CHECK(summary.cache_capacity.tokens == 1'000'000 / (16 * 512) * 16);
}

namespace {

/// What a name such as "8B" or "1.7B" allows: half a unit of its last digit that is not zero, up and down.
struct PublishedSize {
  double value = 0;
  double tolerance = 0;
};

PublishedSize parse_size(const std::string& text) {
  const double unit = text.back() == 'T' ? 1e12 : text.back() == 'B' ? 1e9 : 1e6;
  const std::string digits = text.substr(0, text.size() - 1);
  double last = 1;
  const std::size_t point = digits.find('.');
  if (point != std::string::npos) {
    for (std::size_t i = point + 1; i < digits.size(); ++i) last /= 10;
  } else {
    for (std::size_t i = digits.size(); i > 1 && digits[i - 1] == '0'; --i) last *= 10;
  }
  return {.value = std::stod(digits) * unit, .tolerance = last / 2 * unit};
}

std::vector<std::string> published_configs() {
  std::vector<std::string> folders;
  for (const auto& entry : std::filesystem::directory_iterator(KRAIT_SOURCE_DIR "/tests/golden/configs")) {
    if (entry.is_directory()) folders.push_back(entry.path().string());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

}  // namespace

TEST_CASE("published configs are planned, and have the number of parameters that they are named after") {
  const std::vector<std::string> folders = published_configs();
  REQUIRE(!folders.empty());
  for (const std::string& folder : folders) {
    CAPTURE(folder);
    std::atomic<std::size_t> allocated = 0;
    LoadOptions options = options_of(folder);
    options.make_platform = [&] { return std::make_unique<PlanningPlatform>(allocated); };
    ModelSummary summary;
    try {
      summary = plan_model(options);
    } catch (const StartupError& error) {
      INFO(error.what());
      CHECK(std::string(error.what()).find("not built yet") != std::string::npos);
      continue;
    }
    CHECK(allocated == 0);
    const ConfigReader origin = ConfigReader::from_file(folder + "/origin.json");
    CHECK(!origin.string("repository").empty());
    CHECK(!origin.string("path").empty());
    if (!origin.has("size")) continue;
    const PublishedSize size = parse_size(origin.string("size"));
    CHECK(std::abs(static_cast<double>(summary.parameters) - size.value) <= size.tolerance);
  }
}
