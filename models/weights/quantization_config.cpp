#include "models/weights/quantization_config.h"

#include <cmath>
#include <vector>

#include "models/config/config_reader.h"

namespace krait {
namespace {

/// `weight_block_size` or `block_structure`: [rows, columns].
void read_blocks(const ConfigReader& reader, const char* key, QuantizationConfig& config) {
  if (!reader.has(key)) return;
  const std::vector<double> blocks = reader.numbers(key);
  const auto valid = [](double size) { return size >= 1 && size <= 1e6 && std::trunc(size) == size; };
  if (blocks.size() != 2 || !valid(blocks[0]) || !valid(blocks[1])) {
    reader.fail(key, "must be two integers from 1: rows and columns of a block");
  }
  config.block_rows = static_cast<std::int64_t>(blocks[0]);
  config.block_columns = static_cast<std::int64_t>(blocks[1]);
}

std::string refused_value(const ConfigReader& reader, const std::string& key, const std::string& found,
                          const std::string& valid) {
  return reader.file() + ": `quantization_config." + key + "` is '" + found + "', which this version does not read. " +
         "Valid: " + valid;
}

void read_fp8(const ConfigReader& reader, QuantizationConfig& config) {
  const std::string format = reader.string_or("fmt", "e4m3");
  if (format != "e4m3" && format != "e5m2") config.refusal = refused_value(reader, "fmt", format, "e4m3 and e5m2");
  read_blocks(reader, "weight_block_size", config);
}

/// Weights of one group of layers; all groups must be 8-bit floats.
void read_compressed_group(const ConfigReader& group, const std::string& name, QuantizationConfig& config) {
  const std::optional<ConfigReader> weights = group.object("weights");
  if (!weights) return;
  const std::string key = "config_groups." + name + ".weights.";
  const std::string type = weights->string_or("type", "int");
  const std::int64_t bits = weights->integer_or("num_bits", 8);
  if (type != "float") config.refusal = refused_value(*weights, key + "type", type, "float");
  if (bits != 8) config.refusal = refused_value(*weights, key + "num_bits", std::to_string(bits), "8");
  read_blocks(*weights, "block_structure", config);
}

void read_compressed_tensors(const ConfigReader& reader, QuantizationConfig& config) {
  const std::string format = reader.string_or("format", "dense");
  if (format != "float-quantized" && format != "naive-quantized" && format != "dense") {
    config.refusal = refused_value(reader, "format", format, "float-quantized, naive-quantized, dense");
    return;
  }
  if (const auto groups = reader.object("config_groups")) {
    for (const std::string& name : groups->keys()) {
      if (const auto group = groups->object(name)) read_compressed_group(*group, name, config);
    }
  }
  if (reader.has("kv_cache_scheme")) {
    config.refusal = refused_value(reader, "kv_cache_scheme", "set", "null");
  }
}

}  // namespace

std::optional<QuantizationConfig> read_quantization_config(const ConfigReader& reader) {
  std::optional<ConfigReader> object = reader.object("quantization_config");
  if (!object) {
    const std::optional<ConfigReader> text = reader.object("text_config");
    if (text) object = text->object("quantization_config");
  }
  if (!object) return std::nullopt;
  QuantizationConfig config;
  config.method = object->string_or("quant_method", "");
  if (config.method == "fp8") {
    read_fp8(*object, config);
  } else if (config.method == "compressed-tensors") {
    read_compressed_tensors(*object, config);
  } else {
    config.refusal =
        refused_value(*object, "quant_method", config.method,
                      "fp8, compressed-tensors (8-bit floats); or give the model's unquantised checkpoint");
  }
  return config;
}

}  // namespace krait
