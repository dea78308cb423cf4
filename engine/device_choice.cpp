#include "engine/device_choice.h"

#include <charconv>
#include <utility>

#include "engine/serving_model.h"
#include "kernels/cpu/cpu_platform.h"
#include "kernels/cuda/make_cuda_platform.h"
#include "kernels/result.h"

namespace krait {
namespace {

ChosenPlatform cpu_platform(const LoadOptions& options, std::string note = {}) {
  return {.platform = std::make_unique<CpuPlatform>(CpuOptions{.threads = options.threads,
                                                               .isa = options.cpu_isa,
                                                               .numa = options.numa,
                                                               .cpu_pinning = options.cpu_pinning}),
          .note = std::move(note)};
}

void refuse_flags_of_the_processor(const LoadOptions& options) {
  const auto refuse = [](const std::string& flag) {
    throw StartupError(Error{
        .code = ErrorCode::kInvalidArgument,
        .message = "--" + flag + " has no effect: the model runs on a GPU (--device cpu runs it " + "on the processor)",
        .field = flag});
  };
  if (options.cpu_isa != "auto") refuse("cpu-isa");
  if (options.threads != 0) refuse("threads");
  const auto asks_nothing = [](const std::string& value) { return value == "auto" || value == "off"; };
  if (!asks_nothing(options.numa)) refuse("numa");
  if (!asks_nothing(options.cpu_pinning)) refuse("cpu-pinning");
}

ChosenPlatform cuda_platform(const LoadOptions& options, int ordinal) {
  ChosenPlatform chosen;
  try {
    chosen.platform = make_cuda_platform(ordinal);
  } catch (const StartupError& error) {
    throw StartupError(Error{.code = error.error().code,
                             .message = "--device cuda:" + std::to_string(ordinal) + ": " + error.what(),
                             .field = "device"});
  }
  refuse_flags_of_the_processor(options);
  return chosen;
}

ChosenPlatform first_usable(const LoadOptions& options) {
  const CudaAvailability cuda = cuda_availability();
  if (cuda.devices == 0) return cpu_platform(options, cuda.reason);
  ChosenPlatform chosen;
  try {
    chosen.platform = make_cuda_platform(0);
  } catch (const StartupError& error) {
    return cpu_platform(options, error.what());
  }
  refuse_flags_of_the_processor(options);
  return chosen;
}

}  // namespace

std::optional<DeviceChoice> parse_device(std::string_view text) {
  using Kind = DeviceChoice::Kind;
  if (text == "auto") return DeviceChoice{.kind = Kind::kAuto};
  if (text == "cpu") return DeviceChoice{.kind = Kind::kCpu};
  constexpr std::string_view kCuda = "cuda";
  if (!text.starts_with(kCuda)) return std::nullopt;
  DeviceChoice choice{.kind = Kind::kCuda};
  text.remove_prefix(kCuda.size());
  if (text.empty()) return choice;
  // No sign, no spaces, no leading zeros.
  const bool number = text.size() > 1 && text[0] == ':' && text[1] >= '0' && text[1] <= '9';
  if (!number || (text.size() > 2 && text[1] == '0')) return std::nullopt;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + 1, end, choice.ordinal);
  if (error != std::errc() || stop != end) return std::nullopt;
  return choice;
}

ChosenPlatform make_platform(const LoadOptions& options) {
  if (options.make_platform) return {.platform = options.make_platform(), .note = {}};
  switch (options.device.kind) {
    case DeviceChoice::Kind::kCuda:
      return cuda_platform(options, options.device.ordinal);
    case DeviceChoice::Kind::kAuto:
      return first_usable(options);
    default:
      return cpu_platform(options);
  }
}

}  // namespace krait
