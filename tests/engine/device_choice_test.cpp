#include "engine/device_choice.h"

#include <catch2/catch.hpp>

#include "engine/serving_model.h"
#include "kernels/cuda/make_cuda_platform.h"
#include "kernels/result.h"

using namespace krait;
using Kind = DeviceChoice::Kind;

namespace {

std::string refusal(const LoadOptions& options) {
  try {
    static_cast<void>(make_platform(options));
  } catch (const StartupError& error) {
    CHECK_FALSE(error.error().field.empty());
    return error.what();
  }
  return {};
}

LoadOptions on(const char* device) {
  LoadOptions options;
  options.device = parse_device(device).value();
  return options;
}

}  // namespace

TEST_CASE("devices are auto, cpu, cuda and cuda:N") {
  CHECK(parse_device("auto")->kind == Kind::kAuto);
  CHECK(parse_device("cpu")->kind == Kind::kCpu);
  CHECK(parse_device("cuda")->kind == Kind::kCuda);
  CHECK(parse_device("cuda")->ordinal == 0);
  CHECK(parse_device("cuda:0")->ordinal == 0);
  CHECK(parse_device("cuda:17")->ordinal == 17);
  for (const char* text : {"", "gpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda: 1", "cuda:01", "cuda:1 ", "cuda0",
                           "cuda:99999999999", "cpu:0"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_device(text).has_value());
  }
}

TEST_CASE("what is loaded without a word about devices runs on the processor") {
  const ChosenPlatform chosen = make_platform({});
  CHECK(chosen.platform->name() == "cpu");
  CHECK(chosen.note.empty());
  CHECK(make_platform(on("cpu")).platform->name() == "cpu");
}

TEST_CASE("auto says why it is the processor; a GPU that was asked for and is not there ends start-up") {
  const CudaAvailability cuda = cuda_availability();
  if (cuda.devices > 0) {
    CHECK(make_platform(on("auto")).note.empty() == (make_platform(on("auto")).platform->name() == "cuda"));
    return;
  }
  CHECK(cuda.reason.ends_with("."));
  const ChosenPlatform chosen = make_platform(on("auto"));
  CHECK(chosen.platform->name() == "cpu");
  CHECK(chosen.note == cuda.reason);
  CHECK(refusal(on("cuda")) == "--device cuda:0: " + cuda.reason);
  CHECK(refusal(on("cuda:3")) == "--device cuda:3: " + cuda.reason);
}

TEST_CASE("flags of the processor have no effect on a GPU, which is an error") {
  if (cuda_availability().devices == 0) {
    WARN("not tried: " + cuda_availability().reason);
    return;
  }
  LoadOptions options = on("cuda");
  options.threads = 2;
  CHECK(refusal(options).starts_with("--threads has no effect: the model runs on a GPU"));
  options.threads = 0;
  options.cpu_isa = "portable";
  CHECK(refusal(options).starts_with("--cpu-isa has no effect: the model runs on a GPU"));
}
