#pragma once

#include <memory>

#include "kernels/cuda/device.h"
#include "kernels/cuda/gemm.h"

namespace krait::cuda {

/// Dense products by cuBLASLt: float32 as float32 (no TF32), bfloat16 with float32 sums and results. How a product is
/// computed is searched for once for each of its shapes and kept. Used by one thread; `device` must outlive it. Calls
/// throw DeviceError.
std::unique_ptr<Gemm> make_cublas_gemm(Device& device);

}  // namespace krait::cuda
