#pragma once

#include <memory>

#include "kernels/operations.h"
#include "kernels/platform.h"
#include "models/config/rope_config.h"

namespace krait {

/// cos and sin of every position and frequency, shared by the layers with equal settings, times the settings'
/// attention factor. Angles are position * frequency (`rope_frequencies`), computed in double.
class RopeTable {
 public:
  RopeTable(Platform& platform, const RopeConfig& config, int positions);
  [[nodiscard]] RopeView view() const;

 private:
  RopeConfig config_;
  Tensor cos_;
  Tensor sin_;
};

}  // namespace krait
