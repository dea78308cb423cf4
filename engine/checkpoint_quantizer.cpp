#include "engine/checkpoint_quantizer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "kernels/cpu/cpu_platform.h"
#include "kernels/quantize_rows.h"
#include "kernels/result.h"
#include "kernels/thread_pool.h"
#include "models/config/config_reader.h"
#include "models/model.h"
#include "models/weights/checkpoint.h"
#include "models/weights/checkpoint_writer.h"
#include "models/weights/float_conversion.h"
#include "models/weights/quantization_config.h"
#include "models/weights/weight_loader.h"

namespace krait {
namespace {

namespace fs = std::filesystem;

/// The matrices that the model multiplies with, and that nothing else reads.
std::set<std::string> find_matrices(const QuantizeOptions& options, const Checkpoint& checkpoint) {
  CpuPlatform platform(CpuOptions{.threads = 1});
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(options.source, context);
  WeightLoader planner(checkpoint);
  planner.set_quantization(options.weights, options.group_size);
  model->load_weights(planner, platform, 0);
  planner.finish();
  return planner.quantizable();
}

bool belongs(const std::string& tensor, const std::string& module) {
  return tensor == module || tensor.starts_with(module + ".");
}

std::string module_of(const std::string& weight) { return weight.substr(0, weight.rfind('.')); }

/// The rule that keeps a tensor; null: none.
const KeepRule* kept_by(const QuantizeOptions& options, const std::string& tensor) {
  for (const KeepRule& rule : options.keep) {
    if (belongs(tensor, rule.module)) return &rule;
  }
  return nullptr;
}

void check_rules(const QuantizeOptions& options, const std::set<std::string>& matrices) {
  for (const KeepRule& rule : options.keep) {
    const bool found = std::any_of(matrices.begin(), matrices.end(),
                                   [&](const std::string& name) { return belongs(name, rule.module); });
    if (found) continue;
    throw StartupError(Error{.code = ErrorCode::kInvalidArgument,
                             .message = "--keep " + rule.module + ": no matrix that would be quantised lies in it. " +
                                        "One of them is " + (matrices.empty() ? "none" : module_of(*matrices.begin())),
                             .field = "keep"});
  }
}

void prepare_target(const std::string& target) {
  std::error_code error;
  fs::create_directories(target, error);
  if (!fs::is_directory(target) || !fs::is_empty(target, error)) {
    throw StartupError(target + ": must be a new or an empty folder");
  }
}

/// Eight of four bits or four of eight in an int32, the first in the lowest bits; above zero.
std::vector<std::uint32_t> pack_words(const QuantizedRows& rows, Quantization form, std::int64_t columns) {
  const int bits = form == Quantization::kInt4 ? 4 : 8;
  const std::int64_t per = 32 / bits;
  const std::int64_t words = (columns + per - 1) / per;
  const std::int64_t count = static_cast<std::int64_t>(rows.values.size()) / columns;
  std::vector<std::uint32_t> packed(static_cast<std::size_t>(count * words));
  for (std::int64_t r = 0; r < count; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      const int value = rows.values[static_cast<std::size_t>(r * columns + c)] + (bits == 8 ? 128 : 0);
      packed[static_cast<std::size_t>(r * words + c / per)] |= static_cast<std::uint32_t>(value)
                                                               << (static_cast<int>(c % per) * bits);
    }
  }
  return packed;
}

void write_matrix(const std::string& name, const TensorView& matrix, const QuantizeOptions& options, int group_size,
                  ThreadPool& pool, CheckpointWriter& writer) {
  const QuantizedRows rows = quantize_rows(matrix, options.weights, group_size, pool);
  const std::vector<std::uint32_t> words = pack_words(rows, options.weights, matrix.columns());
  const std::string prefix = module_of(name) + ".weight_";
  const std::int64_t count = matrix.rows();
  writer.add(prefix + "packed", DType::kInt32, {count, static_cast<std::int64_t>(words.size()) / count}, words.data());
  // float16 where it holds every scale exactly, as it nearly always does.
  std::vector<std::uint16_t> halves;
  bool exact = true;
  for (const float scale : rows.scales) {
    halves.push_back(float_to_float16(scale));
    exact = exact && float16_to_float(halves.back()) == scale;
  }
  const Shape shape{count, static_cast<std::int64_t>(rows.scales.size()) / count};
  exact ? writer.add(prefix + "scale", DType::kFloat16, shape, halves.data())
        : writer.add(prefix + "scale", DType::kFloat32, shape, rows.scales.data());
  const std::int64_t sizes[] = {count, matrix.columns()};
  writer.add(prefix + "shape", DType::kInt64, {2}, sizes);
}

/// In the rule's dtype.
void write_kept(const std::string& name, const TensorView& view, DType dtype, CheckpointWriter& writer) {
  if (view.dtype == dtype || !is_float_weight(view.dtype)) return writer.add(name, view.dtype, view.shape, view.data);
  std::vector<float> floats(static_cast<std::size_t>(view.shape.elements()));
  convert_to_float32(view, floats.data());
  if (dtype == DType::kFloat32) return writer.add(name, dtype, view.shape, floats.data());
  std::vector<std::uint16_t> halves;
  for (const float value : floats) {
    halves.push_back(dtype == DType::kBFloat16 ? float_to_bfloat16(value) : float_to_float16(value));
  }
  writer.add(name, dtype, view.shape, halves.data());
}

std::string quoted(const std::string& text) { return '"' + text + '"'; }

/// config.json with a `quantization_config` before its first key; the rest stays as it is, letter by letter.
void write_config(const QuantizeOptions& options, int group_size, const std::vector<std::string>& kept) {
  const std::string path = options.source + "/config.json";
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::string ignored;
  for (const std::string& name : kept) ignored += (ignored.empty() ? "" : ", ") + quoted(module_of(name));
  const std::string bits = options.weights == Quantization::kInt4 ? "4" : "8";
  const std::string config =
      "\n  \"quantization_config\": {\n    \"quant_method\": \"compressed-tensors\",\n    \"format\": "
      "\"pack-quantized\",\n    \"quantization_status\": \"compressed\",\n    \"config_groups\": {\"group_0\": "
      "{\"targets\": [\"Linear\"], \"input_activations\": null, \"output_activations\": null,\n      \"weights\": "
      "{\"num_bits\": " +
      bits + ", \"type\": \"int\", \"symmetric\": true, \"strategy\": \"group\", \"group_size\": " +
      std::to_string(group_size) + ", \"dynamic\": false}}},\n    \"kv_cache_scheme\": null,\n    \"ignore\": [" +
      ignored + "]\n  },";
  const std::size_t brace = text.find('{');
  text.insert(brace == std::string::npos ? 0 : brace + 1, config);
  std::ofstream out(options.target + "/config.json", std::ios::binary);
  out << text;
  if (!out.flush()) throw StartupError(options.target + "/config.json: cannot be written");
}

/// Tokenizer, templates and the like; not the weights in any format.
void copy_others(const QuantizeOptions& options) {
  const std::set<std::string> weights = {".safetensors", ".bin", ".pth", ".pt", ".gguf", ".partial"};
  for (const auto& entry : fs::directory_iterator(options.source)) {
    const fs::path name = entry.path().filename();
    if (!entry.is_regular_file() || weights.contains(name.extension().string())) continue;
    if (name == "config.json" || name.string().ends_with(".index.json")) continue;
    std::error_code error;
    fs::copy_file(entry.path(), fs::path(options.target) / name, error);
    if (error) throw StartupError((fs::path(options.target) / name).string() + ": " + error.message());
  }
}

}  // namespace

QuantizeResult quantize_checkpoint(const QuantizeOptions& options) {
  if (options.weights == Quantization::kNone) KRAIT_BUG("quantising to no form");
  if (read_quantization_config(ConfigReader::from_file(options.source + "/config.json"))) {
    throw StartupError(options.source + "/config.json: the checkpoint is quantised already (`quantization_config`)");
  }
  const int group_size = options.group_size > 0 ? options.group_size : default_group_size(options.weights);
  if (group_size % 32 != 0) {
    throw StartupError(Error{.code = ErrorCode::kInvalidArgument,
                             .message = "--group-size is " + std::to_string(group_size) + ". Valid: multiples of 32",
                             .field = "group-size"});
  }
  const Checkpoint checkpoint(options.source);
  const std::set<std::string> matrices = find_matrices(options, checkpoint);
  check_rules(options, matrices);
  prepare_target(options.target);

  std::vector<std::string> names = checkpoint.names();
  std::sort(names.begin(), names.end());
  std::size_t header = 64;
  for (const std::string& name : names) header += 3 * CheckpointWriter::header_bytes_of(name);
  CheckpointWriter writer(options.target, header, options.shard_bytes);
  ThreadPool pool(options.threads);
  QuantizeResult result{.bytes_before = checkpoint.total_bytes()};
  std::vector<std::string> kept;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string& name = names[i];
    const KeepRule* rule = kept_by(options, name);
    const TensorView view = checkpoint.tensor(name);
    if (matrices.contains(name) && rule == nullptr) {
      write_matrix(name, view, options, group_size, pool, writer);
      ++result.quantized;
    } else {
      if (matrices.contains(name)) kept.push_back(name);
      write_kept(name, view, rule == nullptr ? view.dtype : rule->dtype, writer);
      ++result.others;
    }
    checkpoint.discard(name);
    if (options.on_progress) options.on_progress(i + 1, names.size());
  }
  writer.finish();
  write_config(options, group_size, kept);
  copy_others(options);
  result.bytes_after = writer.bytes();
  return result;
}

}  // namespace krait
