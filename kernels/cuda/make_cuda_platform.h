#pragma once

#include <memory>
#include <string>

#include "kernels/platform.h"

namespace krait {

/// GPUs that the CUDA platform could use.
struct CudaAvailability {
  int devices = 0;
  std::string reason;  ///< why there are none: a sentence
};
CudaAvailability cuda_availability();

/// The CUDA platform on device `ordinal`. Throws StartupError with a sentence: this build has no such platform, the
/// machine no driver or no such device, or the device is too old.
std::unique_ptr<Platform> make_cuda_platform(int ordinal);

}  // namespace krait
