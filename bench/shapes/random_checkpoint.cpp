#include "bench/shapes/random_checkpoint.h"

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

void write_config(const nlohmann::json& config, const std::string& folder) {
  std::ofstream out(folder + "/config.json");
  out << config.dump(2) << "\n";
  if (!out.flush()) throw std::runtime_error("cannot write " + folder + "/config.json");
}

}  // namespace

void write_random_checkpoint(const nlohmann::json& config, const std::string& folder) {
  write_config(config, folder);
  write_tensors(folder + "/model.safetensors", tensors_of(folder));
}

RandomCheckpoint::RandomCheckpoint(const nlohmann::json& config, Content content) {
  if (content == Content::kAll) {
    write_random_checkpoint(config, folder());
  } else {
    write_config(config, folder());
  }
}

}  // namespace krait::bench
