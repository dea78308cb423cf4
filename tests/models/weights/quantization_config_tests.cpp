#include "models/weights/quantization_config.h"

#include <catch2/catch.hpp>

#include "models/config/config_reader.h"
#include "tests/models/config/startup_error_message.h"

using krait::ConfigReader;
using krait::read_quantization_config;
using krait::test::startup_error_message;

namespace {

auto read(const std::string& text) { return read_quantization_config(ConfigReader::from_text(text, "config.json")); }

std::string refusal(const std::string& object) {
  const auto config = read(R"({"quantization_config": )" + object + "}");
  REQUIRE(config.has_value());
  return config->refusal;
}

bool contains(const std::string& text, const std::string& word) { return text.find(word) != std::string::npos; }

}  // namespace

TEST_CASE("a config without quantisation has none") {
  CHECK(!read("{}"));
  CHECK(!read(R"({"quantization_config": null})"));
}

TEST_CASE("8-bit floats are read, with their blocks") {
  const auto config = read(R"({"text_config": {"quantization_config": {"quant_method": "fp8", "fmt": "e4m3",
    "activation_scheme": "dynamic", "weight_block_size": [64, 32]}}})");
  REQUIRE(config.has_value());
  CHECK(config->method == "fp8");
  CHECK(config->refusal.empty());
  CHECK(config->block_rows == 64);
  CHECK(config->block_columns == 32);
  CHECK(refusal(R"({"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {"group_0":
    {"weights": {"num_bits": 8, "type": "float", "strategy": "channel"}}}})")
            .empty());
}

TEST_CASE("a method that is not read is refused by its name") {
  for (const std::string method : {"bitsandbytes", "mxfp4", "fbgemm_fp8"}) {
    CAPTURE(method);
    const std::string message = refusal(R"({"quant_method": ")" + method + R"("})");
    CHECK(contains(message, "`quantization_config.quant_method` is '" + method + "'"));
    CHECK(contains(message, "fp8"));
  }
  CHECK(contains(refusal(R"({"quant_method": "compressed-tensors", "format": "marlin-24"})"), "marlin-24"));
  CHECK(contains(refusal(R"({"quant_method": "fp8", "fmt": "e3m4"})"), "e3m4"));
}

TEST_CASE("integers of 4 and 8 bits are read, others refused by what they are") {
  const auto packed = read(R"({"quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized",
    "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 64}}}}})");
  REQUIRE(packed.has_value());
  CHECK(packed->refusal.empty());
  CHECK(packed->integers);
  CHECK(packed->group_size == 64);
  const auto gptq = read(R"({"quantization_config": {"quant_method": "gptq", "bits": 8, "group_size": -1}})");
  REQUIRE(gptq.has_value());
  CHECK(gptq->refusal.empty());
  CHECK(gptq->integers);
  CHECK(gptq->zeros_less_one);
  CHECK_FALSE(read(R"({"quantization_config": {"quant_method": "gptq", "bits": 4, "checkpoint_format": "gptq_v2"}})")
                  ->zeros_less_one);
  CHECK(read(R"({"quantization_config": {"quant_method": "awq", "bits": 4, "version": "GEMM"}})")->refusal.empty());
  CHECK(contains(refusal(R"({"quant_method": "gptq", "bits": 3})"), "`quantization_config.bits` is '3'"));
  CHECK(contains(refusal(R"({"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"})"), "marlin"));
  CHECK(contains(refusal(R"({"quant_method": "awq", "bits": 8})"), "`quantization_config.bits` is '8'"));
  CHECK(contains(refusal(R"({"quant_method": "awq", "bits": 4, "version": "gemv"})"), "gemv"));
  const std::string group = R"({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups":
    {"group_0": {"weights": )";
  CHECK(contains(refusal(group + R"({"num_bits": 2, "type": "int"}}}})"), "weights.num_bits` is '2'"));
  CHECK(contains(refusal(group + R"({"num_bits": 8, "type": "int", "strategy": "block"}}}})"), "strategy` is 'block'"));
}

TEST_CASE("blocks that make no sense are errors") {
  const std::string message = startup_error_message(
      [] { read(R"({"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 0]}})"); });
  CHECK(contains(message, "weight_block_size"));
}
