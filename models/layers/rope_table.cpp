#include "models/layers/rope_table.h"

#include <cmath>

namespace krait {

RopeTable::RopeTable(Platform& platform, const RopeConfig& config, int positions) : rotary_dim_(config.rotary_dim) {
  const int half = rotary_dim_ / 2;
  const auto make = [&] {
    const std::size_t bytes = static_cast<std::size_t>(positions) * static_cast<std::size_t>(half) * sizeof(float);
    return Tensor(platform.allocate(bytes), DType::kFloat32, {positions, half});
  };
  cos_ = make();
  sin_ = make();
  for (int i = 0; i < half; ++i) {
    const double frequency = std::pow(config.theta, -2.0 * i / rotary_dim_);
    for (int position = 0; position < positions; ++position) {
      cos_.view().row<float>(position)[i] = static_cast<float>(std::cos(position * frequency));
      sin_.view().row<float>(position)[i] = static_cast<float>(std::sin(position * frequency));
    }
  }
}

RopeView RopeTable::view() const {
  return {.cos = cos_.view(), .sin = sin_.view(), .rotary_dim = rotary_dim_, .interleaved = false};
}

}  // namespace krait
