#pragma once

#include <cstdint>

#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"
#include "kernels/dtype.h"

namespace krait::cuda {

/// y [m, n] = x [m, k] w [n, k]^T, or y += that; sums in float32. `x` and `w` are float32 (products in float32, not
/// rounded) or bfloat16, rows one after another.
struct GemmArgs {
  int m = 0;
  int n = 0;
  int k = 0;
  DType dtype = DType::kBFloat16;
  const void* x = nullptr;
  std::int64_t x_stride = 0;
  const void* w = nullptr;
  Rows y{};
  bool accumulate = false;
};

/// The dense product of a library; a device's is cuBLASLt.
class Gemm {
 public:
  virtual ~Gemm() = default;
  virtual void run(const GemmArgs& args, Stream stream) = 0;
};

}  // namespace krait::cuda
