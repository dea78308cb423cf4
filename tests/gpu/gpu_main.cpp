#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <cstdio>

#include "kernels/cuda/make_cuda_platform.h"

// Without a GPU nothing runs and ctest says "Skipped", by this code.

namespace {
constexpr int kSkipped = 77;
}  // namespace

int main(int argc, char** argv) {
  const krait::CudaAvailability cuda = krait::cuda_availability();
  if (cuda.devices == 0) {
    std::printf("skipped: %s\n", cuda.reason.c_str());
    return kSkipped;
  }
  return Catch::Session().run(argc, argv);
}
