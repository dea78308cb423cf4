#include "kernels/cuda/runtime/kernel_probe.h"

#include <cuda_runtime.h>

namespace krait::cuda {
namespace {

__global__ void probe() {}

}  // namespace

bool has_kernels_for_device() {
  cudaFuncAttributes attributes{};
  const cudaError_t status = cudaFuncGetAttributes(&attributes, probe);
  cudaGetLastError();  // an answer, not an error of what follows
  return status == cudaSuccess;
}

}  // namespace krait::cuda
