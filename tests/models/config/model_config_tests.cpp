#include "models/config/model_config.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/config/config_reader.h"
#include "tests/models/config/startup_error_message.h"
#include "tests/temp_folder.h"

using krait::ConfigReader;
using krait::DType;
using krait::ModelConfig;
using krait::test::startup_error_message;
using krait::test::TempFolder;
using nlohmann::json;

namespace {

json small_config() {
  return json::parse(
      R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "vocab_size": 256,
                         "num_hidden_layers": 3, "eos_token_id": 2})");
}

ModelConfig read(const json& config, const std::string& folder = "/nonexistent", bool tie_default = false) {
  return krait::read_model_config(ConfigReader::from_text(config.dump(), "config.json"), folder, tie_default);
}

std::string error_with(const std::string& key, const json& value) {
  json config = small_config();
  config[key] = value;
  return startup_error_message([&] { (void)read(config); });
}

ModelConfig read_golden(const std::string& folder) {
  return krait::read_model_config(ConfigReader::from_file(folder + "/config.json"), folder);
}

}  // namespace

TEST_CASE("the common part of a config is read, with its defaults") {
  const ModelConfig config = read(small_config());
  CHECK(config.file == "config.json");
  CHECK(config.architecture == "LlamaForCausalLM");
  CHECK(config.hidden_size == 64);
  CHECK(config.vocab_size == 256);
  CHECK(config.num_layers == 3);
  CHECK(config.eos_token_ids == std::vector<std::int32_t>{2});
  CHECK_FALSE(config.max_position_embeddings.has_value());
  CHECK_FALSE(config.tie_word_embeddings);
  CHECK_FALSE(config.dtype.has_value());
  CHECK_FALSE(config.ssm_state_dtype.has_value());
  CHECK(read(small_config(), "/nonexistent", true).tie_word_embeddings);
}

TEST_CASE("dtypes are read under their old and new keys") {
  json config = small_config();
  config["torch_dtype"] = "torch.float16";
  config["mamba_ssm_cache_dtype"] = "float32";
  CHECK(read(config).dtype == DType::kFloat16);
  CHECK(read(config).ssm_state_dtype == DType::kFloat32);
  config["dtype"] = "bfloat16";
  config["mamba_ssm_dtype"] = "bfloat16";
  CHECK(read(config).dtype == DType::kBFloat16);
  CHECK(read(config).ssm_state_dtype == DType::kBFloat16);
  CHECK(error_with("dtype", "int8") == "config.json: `dtype` must be float32, bfloat16 or float16, found \"int8\"");
}

TEST_CASE("generation_config.json wins over config.json where it names the end") {
  const TempFolder folder;
  CHECK(read(small_config(), folder.path()).eos_token_ids == std::vector<std::int32_t>{2});
  folder.write("generation_config.json", R"({"do_sample": true})");
  CHECK(read(small_config(), folder.path()).eos_token_ids == std::vector<std::int32_t>{2});
  folder.write("generation_config.json", R"({"eos_token_id": [5, 9]})");
  CHECK(read(small_config(), folder.path()).eos_token_ids == std::vector<std::int32_t>{5, 9});
  folder.write("generation_config.json", R"({"eos_token_id": "end"})");
  CHECK(startup_error_message([&] {
          (void)read(small_config(), folder.path());
        }).starts_with(folder.file("generation_config.json") + ": `eos_token_id` must be a token id"));
}

TEST_CASE("sizes that no model has are refused with a sentence") {
  CHECK(error_with("hidden_size", 1'000'000'000'000'000'000) ==
        "config.json: `hidden_size` must be an integer from 1 to 1048576, found 1000000000000000000");
  CHECK(error_with("vocab_size", -5) == "config.json: `vocab_size` must be an integer from 1 to 16777216, found -5");
  CHECK(error_with("num_hidden_layers", 0) ==
        "config.json: `num_hidden_layers` must be an integer from 1 to 10000, found 0");
  CHECK(error_with("max_position_embeddings", "4k").find("`max_position_embeddings` must be an integer") !=
        std::string::npos);
}

TEST_CASE("a config without an architecture is refused") {
  CHECK(error_with("architectures", nullptr) ==
        "config.json: `architectures` must be a list of strings, found nothing");
  CHECK(error_with("architectures", json::array()) ==
        "config.json: `architectures` must name the model's architecture, found an empty list");
  CHECK(error_with("model_type", 3) == "config.json: `model_type` must be a string, found 3");
}

TEST_CASE("the configs of the bundled models are read") {
  const std::string root = KRAIT_SOURCE_DIR;
  const ModelConfig aesop = read_golden(root + "/demo/aesop");
  CHECK(aesop.architecture == "GraniteMoeHybridForCausalLM");
  CHECK(aesop.vocab_size == 3072);
  CHECK(aesop.num_layers == 6);
  CHECK(aesop.max_position_embeddings == 4096);
  CHECK(aesop.tie_word_embeddings);
  CHECK(aesop.dtype == DType::kBFloat16);
  CHECK(aesop.eos_token_ids == std::vector<std::int32_t>{0});
  const ModelConfig mamba2 = read_golden(root + "/tests/golden/models/mamba2");
  CHECK(mamba2.architecture == "Mamba2ForCausalLM");
  CHECK_FALSE(mamba2.max_position_embeddings.has_value());
  for (const char* name : {"granitemoehybrid_dense", "granitemoehybrid_moe", "llama", "mamba2_dtlimit"}) {
    CHECK(read_golden(root + "/tests/golden/models/" + name).hidden_size == 64);
  }
}

TEST_CASE("a multimodal model's common part is its language model's") {
  json config = json::parse(R"({"architectures": ["Qwen3_5ForConditionalGeneration"], "model_type": "qwen3_5",
      "text_config": {"hidden_size": 64, "vocab_size": 256, "num_hidden_layers": 3, "eos_token_id": 7,
                      "tie_word_embeddings": true, "dtype": "float16", "mamba_ssm_dtype": "float32",
                      "max_position_embeddings": 128}})");
  CHECK(read(config).hidden_size == 64);
  CHECK(read(config).vocab_size == 256);
  CHECK(read(config).num_layers == 3);
  CHECK(read(config).max_position_embeddings == 128);
  CHECK(read(config).dtype == DType::kFloat16);
  CHECK(read(config).ssm_state_dtype == DType::kFloat32);
  CHECK(read(config).tie_word_embeddings);
  CHECK(read(config).eos_token_ids == std::vector<std::int32_t>{7});
  // What stands in both places is the outer object's.
  config["tie_word_embeddings"] = false;
  config["eos_token_id"] = 8;
  config["text_config"].erase("dtype");
  config["dtype"] = "bfloat16";
  CHECK_FALSE(read(config).tie_word_embeddings);
  CHECK(read(config).eos_token_ids == std::vector<std::int32_t>{8});
  CHECK(read(config).dtype == DType::kBFloat16);
  config["text_config"]["vocab_size"] = 0;
  CHECK(startup_error_message([&] { (void)read(config); }).find("`text_config.vocab_size`") != std::string::npos);
  // A plain config may have an object of that name.
  json plain = small_config();
  plain["text_config"] = {{"hidden_size", 8}};
  CHECK(read(plain).hidden_size == 64);
}

TEST_CASE("a context length under Kimi's name") {
  json config = small_config();
  config["model_max_length"] = 512;
  CHECK(read(config).max_position_embeddings == 512);
  config["max_position_embeddings"] = 256;
  CHECK(read(config).max_position_embeddings == 256);
}
