// `krait quantize`: what it writes answers as the same checkpoint quantised at load.

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/checkpoint_quantizer.h"
#include "golden_file.h"
#include "models/weights/checkpoint.h"
#include "random_model.h"
#include "tests/models/config/startup_error_message.h"
#include "tiny_model.h"

using namespace krait;
using namespace krait::test;
using nlohmann::json;

namespace {

std::vector<Row> logits(const std::string& folder, Quantization form, DType rows) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 19; ++i) ids.push_back(i * 37 % 251);
  TinyModel::Options options;
  options.compute_dtype = rows;
  options.quantization = form;
  TinyModel model(folder, options);
  Sequence sequence = model.start();
  return model.run(sequence, ids);
}

QuantizeOptions options_of(const std::string& source, const TempFolder& target, Quantization form) {
  QuantizeOptions options;
  options.source = source;
  options.target = target.path();
  options.weights = form;
  options.threads = 1;
  return options;
}

std::set<std::string> names_of(const std::string& folder) {
  const Checkpoint checkpoint(folder);
  const std::vector<std::string> names = checkpoint.names();
  return {names.begin(), names.end()};
}

}  // namespace

TEST_CASE("a quantised checkpoint answers as the checkpoint quantised at load, in every family") {
  for (const std::string& folder : fixture_folders()) {
    for (const Quantization form : {Quantization::kInt8, Quantization::kInt4}) {
      CAPTURE(folder, static_cast<int>(form));
      const std::string source = (std::filesystem::path(KRAIT_SOURCE_DIR) / folder).string();
      const TempFolder target;
      QuantizeOptions options = options_of(source, target, form);
      options.shard_bytes = 100'000;  // several shards
      const QuantizeResult result = quantize_checkpoint(options);
      CHECK(result.quantized > 0);
      for (const DType rows : {DType::kFloat32, DType::kInt8}) {
        // What the format has no name for is quantised at load in both.
        REQUIRE(logits(target.path(), form, rows) == logits(source, form, rows));
      }
    }
  }
}

TEST_CASE("kept modules stay float, other files are copied, config.json says what was done") {
  const RandomModel model(RandomModel::changed_config("llama", {{"tie_word_embeddings", false}}));
  std::ofstream(model.folder() + "/tokenizer.json") << "{}";
  const TempFolder target;
  QuantizeOptions options = options_of(model.folder(), target, Quantization::kInt4);
  options.group_size = 64;
  options.keep = {{"lm_head", DType::kBFloat16}, {"model.layers.0.mlp", DType::kFloat32}};
  const QuantizeResult result = quantize_checkpoint(options);
  const std::set<std::string> names = names_of(target.path());
  CHECK(names.contains("lm_head.weight"));
  CHECK(names.contains("model.layers.0.mlp.up_proj.weight"));
  CHECK(names.contains("model.layers.1.mlp.up_proj.weight_packed"));
  CHECK_FALSE(names.contains("model.layers.1.mlp.up_proj.weight"));
  CHECK(names.contains("model.norm.weight"));
  const Checkpoint written(target.path());
  CHECK(written.dtype("lm_head.weight") == DType::kBFloat16);
  CHECK(written.dtype("model.layers.0.mlp.up_proj.weight") == DType::kFloat32);
  CHECK(written.dtype("model.layers.1.mlp.up_proj.weight_packed") == DType::kInt32);
  CHECK(written.dtype("model.layers.1.mlp.up_proj.weight_scale") == DType::kFloat16);
  CHECK(result.bytes_after < result.bytes_before / 2);
  CHECK(std::filesystem::exists(target.path() + "/tokenizer.json"));
  std::ifstream file(target.path() + "/config.json");
  const json config = json::parse(file);
  const json& scheme = config["quantization_config"];
  CHECK(scheme["quant_method"] == "compressed-tensors");
  CHECK(scheme["format"] == "pack-quantized");
  CHECK(scheme["config_groups"]["group_0"]["weights"]["num_bits"] == 4);
  CHECK(scheme["config_groups"]["group_0"]["weights"]["group_size"] == 64);
  CHECK(scheme["ignore"].size() == 4);
  CHECK(config["hidden_size"] == RandomModel::changed_config("llama", json::object())["hidden_size"]);
  static_cast<void>(logits(target.path(), Quantization::kNone, DType::kFloat32));

  CHECK_THAT(startup_error_message([&] { quantize_checkpoint(options); }), Catch::Contains("empty folder"));
  const TempFolder other;
  QuantizeOptions again = options_of(target.path(), other, Quantization::kInt4);
  CHECK_THAT(startup_error_message([&] { quantize_checkpoint(again); }), Catch::Contains("quantised already"));
  options.target = other.path();
  options.keep = {{"lm_haed", DType::kBFloat16}};
  CHECK_THAT(startup_error_message([&] { quantize_checkpoint(options); }), Catch::Contains("lm_haed"));
  CHECK(std::filesystem::is_empty(other.path()));
}
