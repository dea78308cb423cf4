#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/platform.h"

namespace krait {

struct LoadOptions;

/// `--device`: where a model runs.
struct DeviceChoice {
  enum class Kind : std::uint8_t {
    kCpu,
    kCuda,
    kAuto,  ///< the first GPU that can be used, else the processor
  };
  Kind kind = Kind::kCpu;
  int ordinal = 0;  ///< of kCuda
};

/// "auto", "cpu", "cuda" (the first GPU) or "cuda:N"; nullopt for anything else.
std::optional<DeviceChoice> parse_device(std::string_view text);

struct ChosenPlatform {
  std::unique_ptr<Platform> platform;
  std::string note;  ///< of `auto`: why it is the processor; else empty
};

/// Throws StartupError where the device cannot be used, or another flag has no effect on it.
ChosenPlatform make_platform(const LoadOptions& options);

}  // namespace krait
