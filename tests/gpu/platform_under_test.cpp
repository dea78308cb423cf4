#include "tests/emulation/platform_under_test.h"

#include "kernels/cuda/make_cuda_platform.h"

namespace krait::test {

std::unique_ptr<Platform> make_platform_under_test() { return make_cuda_platform(0); }

}  // namespace krait::test
