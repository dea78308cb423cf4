#include "engine/model_identity.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model_plan.h"
#include "engine/serving_model.h"
#include "models/weights/checkpoint.h"

namespace krait {
namespace {

/// Tensors whose bytes are looked at, and how many bytes at each of three places.
constexpr std::size_t kSampledTensors = 128;
constexpr std::size_t kSampleBytes = 256;

/// Of parts one after the other, each with its length, so that no two lists of parts are one.
class PartsHash {
 public:
  void add(std::string_view part) {
    const std::uint64_t size = part.size();
    hash_ = XXH3_64bits_withSeed(&size, sizeof(size), hash_);
    hash_ = XXH3_64bits_withSeed(part.data(), part.size(), hash_);
  }
  void add_bytes(const std::byte* data, std::size_t count) {
    add(std::string_view(reinterpret_cast<const char*>(data), count));
  }
  [[nodiscard]] std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0;
};

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void add_options(const LoadOptions& options, const ModelPlan& plan, PartsHash& hash) {
  hash.add(plan.platform->numerics());
  hash.add(dtype_name(plan.summary.compute_dtype));
  hash.add(quantization_name(options.quantization));
  hash.add(options.mamba.backend);
  hash.add(options.attention_backend);
  const int rounds = options.mamba.enable_stochastic_rounding ? options.mamba.philox_rounds() : 0;
  hash.add("stochastic rounding, " + std::to_string(rounds));
  for (const LayerKindSummary& kind : plan.summary.layer_kinds) hash.add(kind.kind + "=" + kind.backend);
}

/// The first bytes, some in the middle and the last: what fine-tuning leaves alone as a whole is rare.
void add_sample(const TensorView& tensor, PartsHash& hash) {
  const auto* data = static_cast<const std::byte*>(tensor.data);
  const std::size_t bytes = tensor.bytes();
  const std::size_t count = std::min(bytes, kSampleBytes);
  for (const std::size_t begin : {std::size_t{0}, (bytes - count) / 2, bytes - count}) {
    hash.add_bytes(data + begin, count);
  }
}

void add_tensors(const Checkpoint& checkpoint, PartsHash& hash) {
  std::vector<std::string> names = checkpoint.names();
  std::ranges::sort(names);
  const std::size_t every = std::max<std::size_t>(1, names.size() / kSampledTensors);
  for (std::size_t i = 0; i < names.size(); ++i) {
    hash.add(names[i]);
    hash.add(checkpoint.shape(names[i]).to_string());
    hash.add(dtype_name(checkpoint.dtype(names[i])));
    if (i % every != 0) continue;
    add_sample(checkpoint.tensor(names[i]), hash);
    checkpoint.discard(names[i]);
  }
}

}  // namespace

std::uint64_t hash_model(const LoadOptions& options, const ModelPlan& plan, const Checkpoint& checkpoint) {
  PartsHash hash;
  hash.add(read_text(plan.model->config().file));
  add_options(options, plan, hash);
  add_tensors(checkpoint, hash);
  return hash.value();
}

std::string packed_weights_file_name(const LoadOptions& options, const ModelPlan& plan) {
  constexpr std::size_t kLongestName = 100;
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::canonical(options.model_path, error);
  const std::string compute_dtype(dtype_name(plan.summary.compute_dtype));
  const std::string quantization(quantization_name(options.quantization));
  PartsHash hash;
  hash.add(error ? options.model_path : folder.string());
  hash.add(plan.platform->numerics());
  hash.add(compute_dtype);
  hash.add(quantization);
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(hash.value()));
  return plan.summary.name.substr(0, kLongestName) + "." + quantization + "." + compute_dtype + "." + hex + ".packed";
}

std::uint64_t hash_packed_weights(const LoadOptions& options, const ModelPlan& plan, const Checkpoint& checkpoint) {
  PartsHash hash;
  hash.add("packed weights " KRAIT_VERSION);
  hash.add(plan.platform->packed_format());
  hash.add(dtype_name(plan.summary.compute_dtype));
  hash.add(quantization_name(options.quantization));
  hash.add(read_text(plan.model->config().file));
  for (const auto& [name, stamp] : checkpoint.stamps()) {
    hash.add(name);
    for (const std::uint64_t number :
         {stamp.bytes, static_cast<std::uint64_t>(stamp.modified_ns), static_cast<std::uint64_t>(stamp.changed_ns)}) {
      hash.add(std::to_string(number));
    }
  }
  add_tensors(checkpoint, hash);
  return hash.value();
}

bool is_unchanged(const Checkpoint& checkpoint) {
  return std::ranges::all_of(checkpoint.stamps(), [&](const auto& file) {
    return file_stamp((std::filesystem::path(checkpoint.folder()) / file.first).string()) == file.second;
  });
}

std::uint64_t hash_cache_formats(const ModelPlan& plan) {
  PartsHash hash;
  hash.add("[page][layer][K|V][head][token][dim]");
  for (const CacheGroupSummary& group : plan.summary.cache_groups) {
    hash.add(group.kind);
    hash.add(group.spec);
    hash.add(std::to_string(group.layers));
  }
  return hash.value();
}

}  // namespace krait
