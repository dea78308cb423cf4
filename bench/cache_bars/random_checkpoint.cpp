#include "bench/cache_bars/random_checkpoint.h"

#include <stdlib.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <vector>

#include "kernels/cpu/cpu_platform.h"
#include "models/model.h"
#include "models/weights/weight_loader.h"

namespace krait::bench {
namespace {

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

struct Interval {
  float low = 0.0F;
  float high = 0.0F;
};

/// Such that states remember, nothing saturates and every term matters.
Interval interval_of(const std::string& name, const Shape& shape) {
  if (contains(name, "norm")) return {0.5F, 1.5F};
  if (contains(name, "A_log")) return {0.0F, 2.0F};
  if (contains(name, "dt_bias")) return {-4.0F, -1.0F};
  if (shape.rank() < 2) return {-0.5F, 0.5F};
  const float bound = std::sqrt(3.0F / static_cast<float>(shape[shape.rank() - 1]));
  return {-bound, bound};
}

/// xorshift64*: 340 M numbers in a second or two.
class Random {
 public:
  float between(Interval interval) {
    state_ ^= state_ >> 12U;
    state_ ^= state_ << 25U;
    state_ ^= state_ >> 27U;
    const auto top = static_cast<std::uint32_t>((state_ * 0x2545F4914F6CDD1DULL) >> 40U);
    return interval.low + (interval.high - interval.low) * (static_cast<float>(top) * 0x1p-24F);
  }

 private:
  std::uint64_t state_ = 0x853C49E6748FEA9BULL;
};

/// Rounded down: which bfloat16 it becomes does not matter here.
std::uint16_t to_bfloat16(float value) {
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16U);
}

/// Every tensor that the model asks for, with its shape.
std::map<std::string, Shape> tensors_of(const std::string& folder) {
  CpuPlatform platform(CpuOptions{.threads = 1});
  const auto model = make_model(folder, {.platform = platform, .mamba = {}, .parallel = {}});
  WeightLoader planner(DType::kBFloat16);
  model->load_weights(planner, platform, 1);
  return planner.taken();
}

void write_tensors(const std::string& file, const std::map<std::string, Shape>& tensors) {
  nlohmann::json header = nlohmann::json::object();
  std::size_t end = 0;
  for (const auto& [name, shape] : tensors) {
    std::vector<std::int64_t> dims;
    for (int axis = 0; axis < shape.rank(); ++axis) dims.push_back(shape[axis]);
    const std::size_t begin = end;
    end += static_cast<std::size_t>(shape.elements()) * sizeof(std::uint16_t);
    header[name] = {{"dtype", "BF16"}, {"shape", dims}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::ofstream out(file, std::ios::binary);
  for (std::size_t i = 0; i < 8; ++i) out.put(static_cast<char>((text.size() >> (8 * i)) & 0xFFU));
  out << text;
  Random random;
  std::vector<std::uint16_t> values;
  // In the order of the header: a JSON object and a map are both sorted by name.
  for (const auto& [name, shape] : tensors) {
    values.resize(static_cast<std::size_t>(shape.elements()));
    const Interval interval = interval_of(name, shape);
    for (std::uint16_t& value : values) value = to_bfloat16(random.between(interval));
    out.write(reinterpret_cast<const char*>(values.data()),
              static_cast<std::streamsize>(values.size() * sizeof(std::uint16_t)));
  }
  if (!out.flush()) throw std::runtime_error("cannot write " + file + ": is the disk full?");
}

nlohmann::json hybrid(int layers, const std::vector<int>& attention_layers) {
  nlohmann::json config = {{"architectures", {"GraniteMoeHybridForCausalLM"}},
                           {"model_type", "granitemoehybrid"},
                           {"attention_bias", false},
                           {"hidden_act", "silu"},
                           {"mamba_chunk_size", 256},
                           {"mamba_conv_bias", true},
                           {"mamba_d_conv", 4},
                           {"mamba_expand", 2},
                           {"mamba_n_groups", 1},
                           {"mamba_proj_bias", false},
                           {"max_position_embeddings", 32768},
                           {"normalization_function", "rmsnorm"},
                           {"num_experts_per_tok", 0},
                           {"num_hidden_layers", layers},
                           {"num_local_experts", 0},
                           {"position_embedding_type", "nope"},
                           {"attention_multiplier", 0.015625},
                           {"embedding_multiplier", 12.0},
                           {"logits_scaling", 3.0},
                           {"residual_multiplier", 0.246},
                           {"rms_norm_eps", 1e-5},
                           {"tie_word_embeddings", true},
                           {"bos_token_id", 1},
                           {"eos_token_id", 2}};
  std::vector<std::string> kinds(static_cast<std::size_t>(layers), "mamba");
  for (const int layer : attention_layers) kinds[static_cast<std::size_t>(layer)] = "attention";
  config["layer_types"] = kinds;
  return config;
}

}  // namespace

nlohmann::json shape_350m() {
  nlohmann::json config = hybrid(32, {10, 13, 17, 27});
  config.update({{"hidden_size", 768},
                 {"intermediate_size", 2048},
                 {"shared_intermediate_size", 2048},
                 {"mamba_n_heads", 48},
                 {"mamba_d_head", 32},
                 {"mamba_d_state", 128},
                 {"num_attention_heads", 12},
                 {"num_key_value_heads", 4},
                 {"vocab_size", 100352}});
  return config;
}

nlohmann::json shape_small() {
  nlohmann::json config = hybrid(4, {2});
  config.update({{"hidden_size", 64},
                 {"intermediate_size", 96},
                 {"shared_intermediate_size", 96},
                 {"mamba_n_heads", 8},
                 {"mamba_d_head", 16},
                 {"mamba_d_state", 16},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"vocab_size", 1024}});
  return config;
}

RandomCheckpoint::RandomCheckpoint(const nlohmann::json& config, Content content) {
  std::string pattern = (std::filesystem::temp_directory_path() / "krait-bars-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = pattern;
  std::ofstream(folder_ + "/config.json") << config.dump(2) << "\n";
  if (content == Content::kAll) write_tensors(folder_ + "/model.safetensors", tensors_of(folder_));
}

RandomCheckpoint::~RandomCheckpoint() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

}  // namespace krait::bench
