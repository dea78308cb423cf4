// Weights that a store has from an earlier load.

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "kernels/platform.h"
#include "models/weights/weight_loader.h"
#include "models/weights/weight_store.h"

namespace krait {
namespace {

/// Of all that says where a matrix lies: many weights of experts begin with one name.
std::string hash_text(const std::string& text) {
  std::array<char, 17> hex{};
  std::snprintf(hex.data(), hex.size(), "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(text.data(), text.size())));
  return hex.data();
}

void describe(const MatrixSource& part, std::string& text) {
  text += part.weight + '\n' + part.bias + '\n';
  for (const std::int64_t number :
       {part.out_features, part.stack_count, part.stack_index, std::int64_t{part.transposed ? 1 : 0}, part.stored_rows,
        part.stored_inputs, part.first_input, part.taps, part.tap, static_cast<std::int64_t>(part.rows.size())}) {
    text += std::to_string(number) + ' ';
  }
  text.append(reinterpret_cast<const char*>(part.rows.data()), part.rows.size() * sizeof(part.rows[0]));
}

}  // namespace

std::string WeightLoader::weight_key(const std::vector<MatrixSource>& parts, std::int64_t in_features,
                                     const LinearOptions& options) const {
  const PackScheme scheme = scheme_of(parts, in_features, options);
  std::string text;
  for (const std::int64_t number :
       {in_features, std::int64_t{scheme.gate_up ? 1 : 0}, static_cast<std::int64_t>(options.shard.axis),
        std::int64_t{options.shard.rank}, std::int64_t{options.shard.size},
        static_cast<std::int64_t>(scheme.quantization), static_cast<std::int64_t>(scheme.compute_dtype),
        std::int64_t{scheme.group()}, std::int64_t{options.compute_dtype.has_value() ? 1 : 0}}) {
    text += std::to_string(number) + ' ';
  }
  for (const MatrixSource& part : parts) describe(part, text);
  return "linear " + parts.front().weight + " " + hash_text(text);
}

PackedWeight WeightLoader::find_weight(const std::string& key, const std::vector<MatrixSource>& parts,
                                       std::int64_t in_features) {
  PackedWeight weight = store_->find_weight(key);
  if (!weight.defined()) return {};
  for (const MatrixSource& part : parts) {
    static_cast<void>(note(part.weight, part.weight_shape(in_features)));
    if (!part.bias.empty()) static_cast<void>(note(part.bias, part.bias_shape()));
  }
  packed_bytes_ += weight.bytes();
  return weight;
}

Tensor WeightLoader::find_tensor(const std::string& key, const NamedShapes& sources) {
  if (store_ == nullptr) return {};
  Tensor tensor = store_->find_tensor(key);
  if (!tensor.defined()) return {};
  for (const auto& [name, shape] : sources) static_cast<void>(note(name, shape));
  return tensor;
}

}  // namespace krait
