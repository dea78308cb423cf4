#pragma once

#include <memory>

#include "kernels/operations.h"
#include "kernels/platform.h"
#include "models/config/model_config.h"

namespace krait {

/// cos and sin of every position and frequency, shared by the layers with equal settings. Angles are computed in
/// double: position * theta^(-2i/d).
class RopeTable {
 public:
  RopeTable(Platform& platform, const RopeConfig& config, int positions);
  [[nodiscard]] RopeView view() const;

 private:
  int rotary_dim_;
  Tensor cos_;
  Tensor sin_;
};

}  // namespace krait
