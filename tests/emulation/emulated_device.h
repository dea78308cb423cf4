#pragma once

#include <memory>

#include "kernels/cuda/cuda_platform.h"

namespace krait::test {

/// A device without a GPU: its memory is the host's, which only the device may touch (device_memory.h), its streams do
/// everything at once. Kernels run on the emulated grid.
std::unique_ptr<cuda::Device> make_emulated_device();
/// The dense product in plain loops, each sum in double precision.
std::unique_ptr<cuda::Gemm> make_emulated_gemm();

/// The CUDA platform over both.
inline std::unique_ptr<CudaPlatform> make_emulated_platform() {
  return std::make_unique<CudaPlatform>(make_emulated_device(), make_emulated_gemm());
}

}  // namespace krait::test
