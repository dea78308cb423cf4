// What a build without the CUDA platform has in its place.

#include "kernels/cuda/make_cuda_platform.h"
#include "kernels/result.h"

namespace krait {
namespace {

constexpr const char* kNotBuiltIn =
    "this build has no CUDA platform (the CMake preset `cuda`, or -DKRAIT_CUDA=ON, builds it).";

}  // namespace

CudaAvailability cuda_availability() { return {.devices = 0, .reason = kNotBuiltIn}; }

std::unique_ptr<Platform> make_cuda_platform(int /*ordinal*/) {
  throw StartupError(Error{.code = ErrorCode::kUnsupported, .message = kNotBuiltIn, .field = {}});
}

}  // namespace krait
