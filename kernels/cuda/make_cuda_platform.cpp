#include "kernels/cuda/make_cuda_platform.h"

#include <utility>

#include "kernels/cuda/cuda_platform.h"
#include "kernels/cuda/runtime/cublas_gemm.h"
#include "kernels/cuda/runtime/open_device.h"
#include "kernels/result.h"

namespace krait {

CudaAvailability cuda_availability() {
  cuda::VisibleDevices devices = cuda::find_devices();
  return {.devices = static_cast<int>(devices.names.size()), .reason = std::move(devices.reason)};
}

std::unique_ptr<Platform> make_cuda_platform(int ordinal) {
  try {
    std::unique_ptr<cuda::Device> device = cuda::open_device(ordinal);
    std::unique_ptr<cuda::Gemm> gemm = cuda::make_cublas_gemm(*device);
    return std::make_unique<CudaPlatform>(std::move(device), std::move(gemm));
  } catch (const cuda::DeviceError& error) {
    throw StartupError(Error{.code = ErrorCode::kUnavailable, .message = error.what(), .field = {}});
  }
}

}  // namespace krait
