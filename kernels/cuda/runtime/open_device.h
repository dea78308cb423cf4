#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/device.h"

namespace krait::cuda {

/// The GPUs that the process sees, by ordinal.
struct VisibleDevices {
  std::vector<std::string> names;
  std::string reason;  ///< why there are none: a sentence
};
VisibleDevices find_devices();

/// Throws StartupError with a sentence when there is no such device or this build has no kernels for it.
std::unique_ptr<Device> open_device(int ordinal);

}  // namespace krait::cuda
