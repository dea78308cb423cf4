#include "models/layers/rope_table.h"

#include <cmath>
#include <vector>

#include "models/config/rope_frequencies.h"

namespace krait {

RopeTable::RopeTable(Platform& platform, const RopeConfig& config, int positions) : config_(config) {
  const std::vector<double> frequencies = rope_frequencies(config);
  const auto half = static_cast<std::int64_t>(frequencies.size());
  std::vector<float> cos;
  std::vector<float> sin;
  cos.reserve(static_cast<std::size_t>(positions) * frequencies.size());
  sin.reserve(cos.capacity());
  for (int position = 0; position < positions; ++position) {
    for (const double frequency : frequencies) {
      const double angle = position * frequency;
      cos.push_back(static_cast<float>(std::cos(angle) * config.attention_factor));
      sin.push_back(static_cast<float>(std::sin(angle) * config.attention_factor));
    }
  }
  const auto upload = [&](const std::vector<float>& values) {
    return Tensor(platform.upload(values.data(), values.size() * sizeof(float)), DType::kFloat32, {positions, half});
  };
  cos_ = upload(cos);
  sin_ = upload(sin);
}

RopeView RopeTable::view() const {
  return {.cos = cos_.view(),
          .sin = sin_.view(),
          .rotary_dim = config_.rotary_dim,
          .interleaved = config_.interleaved,
          .offset = config_.offset};
}

}  // namespace krait
