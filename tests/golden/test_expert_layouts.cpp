#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>

#include "golden_file.h"
#include "models/weights/safetensors_file.h"
#include "tests/models/weights/safetensors_bytes.h"
#include "tests/temp_folder.h"
#include "tiny_model.h"

// Experts are read stacked or apart, whatever a family's released files have.

using namespace krait;
using namespace krait::test;
using nlohmann::json;

namespace {

/// A tensor of a file, of two-byte values where it is an expert's.
struct Stored {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::string bytes;
};
using Tensors = std::map<std::string, Stored>;

Tensors read_tensors(const std::string& path) {
  const SafetensorsFile file(path);
  Tensors tensors;
  for (const auto& [name, entry] : file.entries()) {
    Stored stored{.dtype = entry.dtype == DType::kFloat32 ? "F32" : "BF16", .shape = {}, .bytes = {}};
    for (int axis = 0; axis < entry.shape.rank(); ++axis) stored.shape.push_back(entry.shape[axis]);
    stored.bytes.assign(static_cast<const char*>(file.view(entry).data), entry.bytes);
    tensors[name] = std::move(stored);
  }
  return tensors;
}

std::string file_of(const Tensors& tensors) {
  json header = json::object();
  std::string data;
  for (const auto& [name, stored] : tensors) {
    header[name] = {{"dtype", stored.dtype},
                    {"shape", stored.shape},
                    {"data_offsets", {data.size(), data.size() + stored.bytes.size()}}};
    data += stored.bytes;
  }
  return safetensors_bytes(header.dump(), data);
}

/// Every `<prefix>.<e>.<gate|up|down>.weight` into `<prefix>.gate_up_proj` (or `.up_proj`) and `<prefix>.down_proj`.
Tensors stack(const Tensors& tensors) {
  const std::regex pattern(R"((.*\.experts)\.(\d+)\.(gate_proj|up_proj|down_proj|w1|w2|w3)\.weight)");
  std::map<std::string, std::map<int, std::map<char, Stored>>> experts;  // prefix, number, g(ate) / u(p) / d(own)
  Tensors result;
  for (const auto& [name, stored] : tensors) {
    std::smatch match;
    if (!std::regex_match(name, match, pattern)) {
      result[name] = stored;
      continue;
    }
    const std::string part = match[3];
    const char kind = part == "w1" ? 'g' : part == "w3" ? 'u' : part == "w2" ? 'd' : part.front();
    experts[match[1]][std::stoi(match[2])][kind] = stored;
  }
  for (auto& [prefix, all] : experts) {
    const auto count = static_cast<std::int64_t>(all.size());
    const bool gated = all.at(0).contains('g');
    const Stored& up = all.at(0).at('u');
    const Stored& down = all.at(0).at('d');
    Stored ups{.dtype = "BF16", .shape = {count, (gated ? 2 : 1) * up.shape[0], up.shape[1]}, .bytes = {}};
    Stored downs{.dtype = "BF16", .shape = {count, down.shape[0], down.shape[1]}, .bytes = {}};
    for (auto& [number, parts] : all) {
      ups.bytes += (gated ? parts.at('g').bytes : "") + parts.at('u').bytes;
      downs.bytes += parts.at('d').bytes;
    }
    result[prefix + (gated ? ".gate_up_proj" : ".up_proj")] = std::move(ups);
    result[prefix + ".down_proj"] = std::move(downs);
  }
  return result;
}

/// Two-byte values number `first`, `first + step`, … of `bytes`.
std::string values_of(const std::string& bytes, std::int64_t first, std::int64_t step, std::int64_t count) {
  std::string out;
  for (std::int64_t i = 0; i < count; ++i) out += bytes.substr(static_cast<std::size_t>(2 * (first + i * step)), 2);
  return out;
}

std::string transposed(const std::string& bytes, std::int64_t rows, std::int64_t columns) {
  std::string out;
  for (std::int64_t column = 0; column < columns; ++column) out += values_of(bytes, column, columns, rows);
  return out;
}

/// gpt-oss's gate and up alternate in the last axis, and its matrices lie transposed.
void separate_interleaved(Tensors& result, const std::string& prefix, const Stored& stored, bool is_up, bool is_bias) {
  const std::int64_t inputs = is_bias ? 1 : stored.shape[1];
  const std::int64_t outputs = stored.shape.back();
  const std::int64_t parts = is_up ? 2 : 1;
  for (std::int64_t expert = 0; expert < stored.shape[0]; ++expert) {
    const std::string block = values_of(stored.bytes, expert * inputs * outputs, 1, inputs * outputs);
    for (std::int64_t part = 0; part < parts; ++part) {
      const std::int64_t rows = outputs / parts;
      const std::string values = transposed(values_of(block, part, parts, inputs * rows), inputs, rows);
      const std::string name = is_up ? (part == 0 ? ".gate_proj" : ".up_proj") : ".down_proj";
      result[prefix + "." + std::to_string(expert) + name + (is_bias ? ".bias" : ".weight")] = {
          .dtype = "BF16", .shape = is_bias ? std::vector{rows} : std::vector{rows, inputs}, .bytes = values};
    }
  }
}

void separate_plain(Tensors& result, const std::string& prefix, const Stored& stored, bool is_up) {
  const std::int64_t columns = stored.shape[2];
  const std::int64_t rows = is_up ? stored.shape[1] / 2 : stored.shape[1];
  std::int64_t first = 0;
  for (std::int64_t expert = 0; expert < stored.shape[0]; ++expert) {
    for (const char* name : is_up ? std::vector{".gate_proj", ".up_proj"} : std::vector{".down_proj"}) {
      result[prefix + "." + std::to_string(expert) + name + ".weight"] = {
          .dtype = "BF16", .shape = {rows, columns}, .bytes = values_of(stored.bytes, first, 1, rows * columns)};
      first += rows * columns;
    }
  }
}

/// The reverse of `stack`, for the four families whose files are stacked.
Tensors separate(const Tensors& tensors) {
  const std::regex plain(R"((.*\.experts)\.(gate_up_proj|down_proj)(_bias)?)");
  const std::regex granite(R"((.*\.block_sparse_moe)\.(input_linear|output_linear)\.weight)");
  Tensors result;
  for (const auto& [name, stored] : tensors) {
    std::smatch match;
    if (std::regex_match(name, match, granite)) {
      separate_plain(result, match[1].str() + ".experts", stored, match[2] == "input_linear");
    } else if (!std::regex_match(name, match, plain)) {
      result[name] = stored;
    } else if (tensors.contains(match[1].str() + ".gate_up_proj_bias")) {
      separate_interleaved(result, match[1], stored, match[2] == "gate_up_proj", match[3].matched);
    } else {
      separate_plain(result, match[1], stored, match[2] == "gate_up_proj");
    }
  }
  return result;
}

std::vector<Row> logits_of(const std::string& folder, const std::vector<std::int32_t>& ids) {
  TinyModel model(folder);
  Sequence sequence = model.start();
  return model.run(sequence, ids);
}

void check_same_logits(const std::string& fixture, Tensors (*convert)(const Tensors&)) {
  CAPTURE(fixture);
  const std::string folder = "tests/golden/models/" + fixture;
  const std::string source = std::string(KRAIT_SOURCE_DIR) + "/" + folder;
  const Tensors stored = read_tensors(source + "/model.safetensors");
  const Tensors converted = convert(stored);
  REQUIRE(converted.size() != stored.size());
  const TempFolder copy;
  copy.write("config.json", json::parse(std::ifstream(source + "/config.json")).dump());
  copy.write("model.safetensors", file_of(converted));
  const std::vector<std::int32_t> ids = read_golden(folder).prompts.back().ids;
  CHECK(logits_of(copy.path(), ids) == logits_of(folder, ids));
}

}  // namespace

TEST_CASE("experts that are stored apart may be stacked") {
  for (const char* fixture : {"bailing_hybrid", "deepseek_v3", "jamba", "kimi_linear", "lfm2_moe", "minimax",
                              "nemotron_h_latent", "nemotron_h_moe", "qwen3_next"}) {
    check_same_logits(fixture, &stack);
  }
}

TEST_CASE("experts that are stored as stacks may be apart") {
  for (const char* fixture : {"gpt_oss", "granitemoehybrid_moe", "qwen3_5_moe", "zaya"}) {
    check_same_logits(fixture, &separate);
  }
}
