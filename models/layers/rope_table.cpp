#include "models/layers/rope_table.h"

#include <cmath>
#include <vector>

#include "models/config/rope_frequencies.h"

namespace krait {

RopeTable::RopeTable(Platform& platform, const RopeConfig& config, int positions) : config_(config) {
  const std::vector<double> frequencies = rope_frequencies(config);
  const auto half = static_cast<std::int64_t>(frequencies.size());
  const auto make = [&] {
    const std::size_t bytes = static_cast<std::size_t>(positions) * frequencies.size() * sizeof(float);
    return Tensor(platform.allocate(bytes), DType::kFloat32, {positions, half});
  };
  cos_ = make();
  sin_ = make();
  for (int position = 0; position < positions; ++position) {
    float* cos = cos_.view().row<float>(position);
    float* sin = sin_.view().row<float>(position);
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
      const double angle = position * frequencies[i];
      cos[i] = static_cast<float>(std::cos(angle) * config.attention_factor);
      sin[i] = static_cast<float>(std::sin(angle) * config.attention_factor);
    }
  }
}

RopeView RopeTable::view() const {
  return {.cos = cos_.view(),
          .sin = sin_.view(),
          .rotary_dim = config_.rotary_dim,
          .interleaved = config_.interleaved,
          .offset = config_.offset};
}

}  // namespace krait
