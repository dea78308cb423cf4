// Checkpoints that others have quantised: each form is loaded beside a float32 copy of its values, and must answer with
// the same bits.

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/serving_model.h"
#include "kernels/result.h"
#include "models/weights/checkpoint.h"
#include "models/weights/quantized_matrix.h"
#include "random_model.h"
#include "tests/models/weights/safetensors_bytes.h"
#include "tiny_model.h"

using namespace krait;
using namespace krait::test;
using nlohmann::json;

namespace {

struct StoredTensor {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::string bytes;
};
using Tensors = std::map<std::string, StoredTensor>;

template <typename T>
StoredTensor stored(const std::string& dtype, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  return {dtype, std::move(shape),
          std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T))};
}

void write_checkpoint(const TempFolder& folder, const json& config, const Tensors& tensors) {
  json header = json::object();
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", tensor.dtype},
                    {"shape", tensor.shape},
                    {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  folder.write("config.json", config.dump());
  folder.write("model.safetensors", safetensors_bytes(header.dump(), data));
}

/// A matrix that is in memory.
struct Drawn : QuantizedMatrix {
  std::vector<std::uint8_t> values;  ///< [rows, columns], from 0 on
};

/// One way of writing a matrix, and what config.json says of it.
struct Form {
  std::string name;
  json config;
  int bits = 4;
  std::int64_t group = 32;  ///< 0: one for a row
  bool zeros = false;
  bool permuted = false;
  std::function<void(const Drawn&, const std::string& prefix, Tensors&)> write;
};

Drawn random_matrix(const Form& form, std::int64_t rows, std::int64_t columns, std::mt19937& random) {
  Drawn matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.bits = form.bits;
  matrix.group = form.group == 0 ? columns : form.group;
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  const float size = 0.5F / std::sqrt(static_cast<float>(columns)) / (form.bits == 4 ? 4.0F : 64.0F);
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    matrix.values.push_back(static_cast<std::uint8_t>(draw(0, form.bits == 4 ? 15 : 255)));
  }
  for (std::int64_t i = 0; i < rows * matrix.groups(); ++i) {
    const float scale = size * static_cast<float>(draw(64, 255)) / 128.0F;
    matrix.scales.push_back(float16_to_float(float_to_float16(bfloat16_to_float(float_to_bfloat16(scale)))));
    if (form.zeros) matrix.zeros.push_back(static_cast<std::uint16_t>(draw(1, 15)));
  }
  if (form.permuted) {
    for (std::int64_t c = 0; c < columns; ++c) {
      matrix.group_of.push_back(static_cast<std::int32_t>(c * 7 % columns / matrix.group));
    }
  }
  return matrix;
}

std::uint32_t zero_of(const QuantizedMatrix& matrix, std::int64_t row, std::int64_t group) {
  if (matrix.zeros.empty()) return matrix.bits == 4 ? 8 : 128;
  return matrix.zeros[static_cast<std::size_t>(row * matrix.groups() + group)];
}

std::vector<std::uint16_t> as_float16(const std::vector<float>& values) {
  std::vector<std::uint16_t> halves;
  for (const float value : values) halves.push_back(float_to_float16(value));
  return halves;
}

/// Values of `bits` into int32 along one axis: value(i, j) goes into word (i, j / per), or (i / per, j) with `down`.
template <typename Value>
StoredTensor packed(std::int64_t rows, std::int64_t columns, int bits, bool down, const Value& value) {
  const int per = 32 / bits;
  const std::int64_t word_rows = down ? (rows + per - 1) / per : rows;
  const std::int64_t word_columns = down ? columns : (columns + per - 1) / per;
  std::vector<std::uint32_t> words(static_cast<std::size_t>(word_rows * word_columns));
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      const std::int64_t word = down ? i / per * word_columns + j : i * word_columns + j / per;
      const auto shift = static_cast<int>((down ? i : j) % per) * bits;
      words[static_cast<std::size_t>(word)] |= static_cast<std::uint32_t>(value(i, j)) << shift;
    }
  }
  return stored("I32", {word_rows, word_columns}, words);
}

/// `[groups, rows]` of `[rows, groups]`.
std::vector<float> turned(const QuantizedMatrix& matrix) {
  std::vector<float> values;
  for (std::int64_t g = 0; g < matrix.groups(); ++g) {
    for (std::int64_t r = 0; r < matrix.rows; ++r) {
      values.push_back(matrix.scales[static_cast<std::size_t>(r * matrix.groups() + g)]);
    }
  }
  return values;
}

std::uint32_t value_at(const Drawn& matrix, std::int64_t row, std::int64_t column) {
  return matrix.values[static_cast<std::size_t>(row * matrix.columns + column)];
}

void write_packed(const Drawn& m, const std::string& prefix, Tensors& out) {
  out[prefix + "weight_packed"] =
      packed(m.rows, m.columns, m.bits, false, [&](std::int64_t r, std::int64_t c) { return value_at(m, r, c); });
  out[prefix + "weight_scale"] = stored("F16", {m.rows, m.groups()}, as_float16(m.scales));
  out[prefix + "weight_shape"] = stored("I64", {2}, std::vector<std::int64_t>{m.rows, m.columns});
  if (!m.group_of.empty()) out[prefix + "weight_g_idx"] = stored("I32", {m.columns}, m.group_of);
  if (m.zeros.empty()) return;
  out[prefix + "weight_zero_point"] =
      packed(m.rows, m.groups(), m.bits, true, [&](std::int64_t r, std::int64_t g) { return zero_of(m, r, g); });
}

void write_int8(const Drawn& m, const std::string& prefix, Tensors& out) {
  std::vector<std::int8_t> values;
  for (const std::uint8_t value : m.values) values.push_back(static_cast<std::int8_t>(value - 128));
  std::vector<std::uint16_t> scales;
  for (const float scale : m.scales) scales.push_back(float_to_bfloat16(scale));
  out[prefix + "weight"] = stored("I8", {m.rows, m.columns}, values);
  out[prefix + "weight_scale"] = stored("BF16", {m.rows, m.groups()}, scales);
}

void write_gptq(const Drawn& m, const std::string& prefix, Tensors& out, std::uint32_t less) {
  out[prefix + "qweight"] =
      packed(m.columns, m.rows, m.bits, true, [&](std::int64_t c, std::int64_t r) { return value_at(m, r, c); });
  out[prefix + "qzeros"] = packed(m.groups(), m.rows, m.bits, false,
                                  [&](std::int64_t g, std::int64_t r) { return zero_of(m, r, g) - less; });
  out[prefix + "scales"] = stored("F16", {m.groups(), m.rows}, as_float16(turned(m)));
  std::vector<std::int32_t> groups = m.group_of;
  if (groups.empty()) {
    for (std::int64_t c = 0; c < m.columns; ++c) groups.push_back(static_cast<std::int32_t>(c / m.group));
  }
  out[prefix + "g_idx"] = stored("I32", {m.columns}, groups);
}

void write_awq(const Drawn& m, const std::string& prefix, Tensors& out) {
  constexpr std::array<std::int64_t, 8> kOrder = {0, 2, 4, 6, 1, 3, 5, 7};
  const auto row = [&](std::int64_t place) { return place / 8 * 8 + kOrder[static_cast<std::size_t>(place % 8)]; };
  out[prefix + "qweight"] =
      packed(m.columns, m.rows, 4, false, [&](std::int64_t c, std::int64_t i) { return value_at(m, row(i), c); });
  out[prefix + "qzeros"] =
      packed(m.groups(), m.rows, 4, false, [&](std::int64_t g, std::int64_t i) { return zero_of(m, row(i), g); });
  out[prefix + "scales"] = stored("F16", {m.groups(), m.rows}, as_float16(turned(m)));
}

json compressed(const std::string& format, int bits, std::int64_t group) {
  json weights = {
      {"num_bits", bits}, {"type", "int"}, {"symmetric", true}, {"strategy", group == 0 ? "channel" : "group"}};
  if (group > 0) weights["group_size"] = group;
  return {{"quant_method", "compressed-tensors"},
          {"format", format},
          {"config_groups", {{"group_0", {{"targets", {"Linear"}}, {"weights", weights}}}}}};
}

std::vector<Form> forms() {
  const auto gptq = [](int bits, const char* format) {
    return json{{"quant_method", "gptq"}, {"bits", bits}, {"group_size", 32}, {"checkpoint_format", format}};
  };
  const auto v1 = [](const auto& m, const auto& prefix, auto& out) { write_gptq(m, prefix, out, 1); };
  const auto v2 = [](const auto& m, const auto& prefix, auto& out) { write_gptq(m, prefix, out, 0); };
  return {
      {.name = "packed int4", .config = compressed("pack-quantized", 4, 32), .write = write_packed},
      {.name = "packed int4 of 16", .config = compressed("pack-quantized", 4, 16), .group = 16, .write = write_packed},
      {.name = "packed int4 with zeros",
       .config = compressed("pack-quantized", 4, 32),
       .zeros = true,
       .write = write_packed},
      {.name = "packed int4, permuted",
       .config = compressed("pack-quantized", 4, 32),
       .permuted = true,
       .write = write_packed},
      {.name = "packed int8", .config = compressed("pack-quantized", 8, 32), .bits = 8, .write = write_packed},
      {.name = "packed int8 with zeros",
       .config = compressed("pack-quantized", 8, 32),
       .bits = 8,
       .zeros = true,
       .write = write_packed},
      {.name = "int8 rows", .config = compressed("int-quantized", 8, 0), .bits = 8, .group = 0, .write = write_int8},
      {.name = "gptq 4", .config = gptq(4, "gptq"), .zeros = true, .write = v1},
      {.name = "gptq 4, symmetric", .config = gptq(4, "gptq"), .write = v1},
      {.name = "gptq 4, permuted", .config = gptq(4, "gptq"), .zeros = true, .permuted = true, .write = v1},
      {.name = "gptq v2", .config = gptq(4, "gptq_v2"), .zeros = true, .write = v2},
      {.name = "gptq 8", .config = gptq(8, "gptq"), .bits = 8, .write = v1},
      {.name = "awq",
       .config = {{"quant_method", "awq"}, {"bits", 4}, {"group_size", 32}, {"version", "gemm"}},
       .zeros = true,
       .write = write_awq},
  };
}

/// The same model twice: its projections in `form`, and their values in float32.
struct Pair {
  TempFolder quantized;
  TempFolder plain;
  int matrices = 0;
  std::int64_t integers = 0;

  Pair(const json& config, const Form& form) {
    const RandomModel model(config);
    const Checkpoint checkpoint(model.folder());
    std::mt19937 random(11);
    Tensors first;
    Tensors second;
    for (const std::string& name : checkpoint.names()) {
      const TensorView view = checkpoint.tensor(name);
      std::vector<std::int64_t> shape;
      for (int axis = 0; axis < view.shape.rank(); ++axis) shape.push_back(view.shape[axis]);
      const bool matrix = name.ends_with("proj.weight") && shape.size() == 2 && shape[0] % 8 == 0 && shape[1] % 32 == 0;
      const auto* floats = view.as<const float>();
      std::vector<float> values(floats, floats + view.shape.elements());
      if (matrix) {
        Drawn q = random_matrix(form, shape[0], shape[1], random);
        form.write(q, name.substr(0, name.size() - 6), first);
        q.read_rows = [&q](std::int64_t begin, std::int64_t count, std::int8_t* to) {
          for (std::int64_t i = 0; i < count * q.columns; ++i) {
            const int value = q.values[static_cast<std::size_t>(begin * q.columns + i)];
            to[i] = static_cast<std::int8_t>(q.bits == 8 ? value - 128 : value);
          }
        };
        dequantize(q, values.data());
        ++matrices;
        integers += q.rows * q.columns;
      } else {
        first[name] = stored("F32", shape, values);
      }
      second[name] = stored("F32", shape, values);
    }
    json with = config;
    with["quantization_config"] = form.config;
    write_checkpoint(quantized, with, first);
    write_checkpoint(plain, config, second);
  }
};

std::vector<Row> logits(const std::string& folder) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 23; ++i) ids.push_back(i * 37 % 251);
  TinyModel model(folder);
  Sequence sequence = model.start();
  return model.run(sequence, ids);
}

}  // namespace

TEST_CASE("checkpoints of compressed-tensors, GPTQ and AWQ answer as a float32 copy of their values") {
  for (const char* family : {"llama", "granitemoehybrid_dense", "qwen3_5", "jamba"}) {
    const json config = RandomModel::changed_config(family, json::object());
    for (const Form& form : forms()) {
      CAPTURE(family, form.name);
      const Pair pair(config, form);
      REQUIRE(pair.matrices > 3);
      REQUIRE(logits(pair.quantized.path()) == logits(pair.plain.path()));
    }
  }
}

TEST_CASE("integers of a checkpoint stay integers in memory where they can, and are multiplied as such") {
  const json config = RandomModel::changed_config("llama", json::object());
  for (const Form& form : forms()) {
    CAPTURE(form.name);
    const Pair pair(config, form);
    LoadOptions options;
    options.threads = 1;
    options.compute_dtype = DType::kInt8;
    options.cache_memory.bytes = std::size_t{16} << 20;
    options.model_path = pair.quantized.path();
    const auto model = ServingModel::load(options);
    options.model_path = pair.plain.path();
    CHECK_THROWS_AS(ServingModel::load(options), StartupError);
    options.compute_dtype = DType::kFloat32;
    const auto plain = ServingModel::load(options);
    const bool floats = form.permuted || form.group == 16 || (form.bits == 8 && form.zeros);
    const std::size_t before = plain->summary().weight_bytes;
    const std::size_t after = model->summary().weight_bytes;
    if (floats) {
      CHECK(after + before / 10 > before);
    } else {
      CHECK(before - after > static_cast<std::size_t>(pair.integers) * (form.bits == 4 ? 3 : 2));
    }
  }
}

TEST_CASE("faults of quantised checkpoints are errors with the tensor's name") {
  const json config = RandomModel::changed_config("llama", json::object());
  const std::vector<Form> all = forms();
  const auto error = [&](std::size_t form, const std::string& suffix, const StoredTensor* instead) {
    Pair pair(config, all[form]);
    const Checkpoint checkpoint(pair.quantized.path());
    Tensors tensors;
    std::string changed;
    for (const std::string& name : checkpoint.names()) {
      const TensorView view = checkpoint.tensor(name);
      std::vector<std::int64_t> shape;
      for (int axis = 0; axis < view.shape.rank(); ++axis) shape.push_back(view.shape[axis]);
      const char* dtype = view.dtype == DType::kInt32      ? "I32"
                          : view.dtype == DType::kInt64    ? "I64"
                          : view.dtype == DType::kFloat16  ? "F16"
                          : view.dtype == DType::kInt8     ? "I8"
                          : view.dtype == DType::kBFloat16 ? "BF16"
                                                           : "F32";
      tensors[name] = {dtype, shape, std::string(view.as<const char>(), view.bytes())};
      if (changed.empty() && name.ends_with(suffix)) {
        changed = name;
        if (instead == nullptr) {
          tensors.erase(name);
        } else {
          tensors[name] = *instead;
        }
      }
    }
    REQUIRE(!changed.empty());
    json with = config;
    with["quantization_config"] = all[form].config;
    const TempFolder folder;
    write_checkpoint(folder, with, tensors);
    std::string message;
    try {
      static_cast<void>(logits(folder.path()));
    } catch (const StartupError& fault) {
      message = fault.what();
    }
    CAPTURE(all[form].name, suffix, message);
    CHECK(message.find(changed.substr(0, changed.size() - suffix.size())) != std::string::npos);
  };
  const StoredTensor words = stored("I32", {3, 5}, std::vector<std::int32_t>(15));
  const StoredTensor floats = stored("F32", {3, 5}, std::vector<float>(15));
  const StoredTensor sizes = stored("I64", {2}, std::vector<std::int64_t>{-4, 1LL << 60});
  error(0, ".weight_packed", &words);
  error(0, ".weight_packed", &floats);
  error(0, ".weight_scale", &floats);
  error(0, ".weight_scale", nullptr);
  error(0, ".weight_shape", &sizes);
  error(0, ".weight_shape", nullptr);
  error(2, ".weight_zero_point", &words);
  error(3, ".weight_g_idx", &words);
  error(6, ".weight_scale", &floats);
  for (const char* suffix : {".qweight", ".scales", ".qzeros"}) {
    error(7, suffix, &words);
    error(7, suffix, &floats);
    error(12, suffix, &words);
    error(12, suffix, &floats);
    if (std::string(suffix) != ".qweight") error(7, suffix, nullptr);
  }
}
