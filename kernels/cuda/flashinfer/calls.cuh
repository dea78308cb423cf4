#pragma once

#include <string>

#include "kernels/cuda/cuda_check.h"

namespace krait::cuda {

/// Runs what calls FlashInfer; its exceptions become ours.
template <typename Call>
auto call_flashinfer(Call&& call) {
  try {
    return call();
  } catch (const flashinfer::Error& error) {
    throw DeviceError(std::string("FlashInfer: ") + error.what());
  }
}

}  // namespace krait::cuda
