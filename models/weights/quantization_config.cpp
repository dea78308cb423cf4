#include "models/weights/quantization_config.h"

#include <algorithm>
#include <array>
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

/// Weights of one group of layers: 8-bit floats, or integers of 4 or 8 bits.
void read_compressed_group(const ConfigReader& group, const std::string& name, QuantizationConfig& config) {
  const std::optional<ConfigReader> weights = group.object("weights");
  if (!weights) return;
  const std::string key = "config_groups." + name + ".weights.";
  const std::string type = weights->string_or("type", "int");
  const std::int64_t bits = weights->integer_or("num_bits", 8);
  if (type == "float") {
    if (bits != 8) config.refusal = refused_value(*weights, key + "num_bits", std::to_string(bits), "8");
    return read_blocks(*weights, "block_structure", config);
  }
  if (type != "int") config.refusal = refused_value(*weights, key + "type", type, "float, int");
  if (bits != 4 && bits != 8) {
    config.refusal = refused_value(*weights, key + "num_bits", std::to_string(bits), "4, 8");
  }
  const std::string strategy = weights->string_or("strategy", "tensor");
  if (strategy != "group" && strategy != "channel" && strategy != "tensor") {
    config.refusal = refused_value(*weights, key + "strategy", strategy, "group, channel, tensor");
  }
  config.integers = true;
  const std::int64_t size = weights->integer_or("group_size", 0, -1);
  // Groups of different sizes: then the shape of the scales says it alone.
  config.group_size = config.group_size != 0 && config.group_size != size ? -1 : size;
}

void read_compressed_tensors(const ConfigReader& reader, QuantizationConfig& config) {
  const std::string format = reader.string_or("format", "dense");
  constexpr std::array kFormats = {"float-quantized", "naive-quantized", "int-quantized", "pack-quantized", "dense"};
  if (std::find(kFormats.begin(), kFormats.end(), format) == kFormats.end()) {
    config.refusal = refused_value(reader, "format", format,
                                   "float-quantized, naive-quantized, int-quantized, pack-quantized, dense");
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

/// What GPTQ and AWQ have in common.
void read_integers(const ConfigReader& reader, const std::vector<std::int64_t>& valid_bits,
                   QuantizationConfig& config) {
  const std::int64_t bits = reader.integer_or("bits", 4);
  if (std::find(valid_bits.begin(), valid_bits.end(), bits) == valid_bits.end()) {
    config.refusal = refused_value(reader, "bits", std::to_string(bits), valid_bits.size() == 1 ? "4" : "4, 8");
  }
  config.integers = true;
  config.group_size = reader.integer_or("group_size", 128, -1);
}

void read_gptq(const ConfigReader& reader, QuantizationConfig& config) {
  read_integers(reader, {4, 8}, config);
  const std::string format = reader.string_or("checkpoint_format", "gptq");
  if (format != "gptq" && format != "gptq_v2") {
    config.refusal = refused_value(reader, "checkpoint_format", format, "gptq, gptq_v2");
  }
  config.zeros_less_one = format == "gptq";
}

void read_awq(const ConfigReader& reader, QuantizationConfig& config) {
  read_integers(reader, {4}, config);
  std::string version = reader.string_or("version", "gemm");
  std::transform(version.begin(), version.end(), version.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (version != "gemm") config.refusal = refused_value(reader, "version", version, "gemm");
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
  } else if (config.method == "gptq") {
    read_gptq(*object, config);
  } else if (config.method == "awq") {
    read_awq(*object, config);
  } else {
    config.refusal = refused_value(*object, "quant_method", config.method,
                                   "fp8, compressed-tensors, gptq, awq; or give the model's unquantised checkpoint");
  }
  return config;
}

}  // namespace krait
