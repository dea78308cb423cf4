#pragma once

#include <cstdint>

namespace krait::cuda {

/// A float32 matrix on the device; rows are `stride` elements apart.
struct Rows {
  float* data = nullptr;
  std::int64_t stride = 0;
};
struct ConstRows {
  const float* data = nullptr;
  std::int64_t stride = 0;
};

}  // namespace krait::cuda
