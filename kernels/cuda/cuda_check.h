#pragma once

#include <cuda_runtime_api.h>

#include "kernels/cuda/device.h"

namespace krait::cuda {

/// Throws DeviceError with the call's name and CUDA's words.
inline void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  throw DeviceError(std::string(call) + ": " + cudaGetErrorString(status));
}

}  // namespace krait::cuda
