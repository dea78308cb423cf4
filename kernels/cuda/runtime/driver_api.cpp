#include "kernels/cuda/runtime/driver_api.h"

#include <string>

#include "kernels/cuda/cuda_check.h"

namespace krait::cuda {
namespace {

/// `version` is the one whose signature the pointer's type has (cudaTypedefs.h).
template <typename Function>
void look_up(const char* name, unsigned version, Function& function) {
  void* address = nullptr;
  cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
  check(cudaGetDriverEntryPointByVersion(name, &address, version, cudaEnableDefault, &found), name);
  if (found != cudaDriverEntryPointSuccess || address == nullptr) {
    throw DeviceError("the NVIDIA driver has no " + std::string(name));
  }
  function = reinterpret_cast<Function>(address);
}

DriverApi load() {
  constexpr unsigned kCuda6 = 6000;
  constexpr unsigned kCuda10 = 10020;
  constexpr unsigned kCuda12 = 12000;
  DriverApi api;
  look_up("cuGetErrorString", kCuda6, api.error_string);
  look_up("cuMemAddressReserve", kCuda10, api.reserve_addresses);
  look_up("cuMemAddressFree", kCuda10, api.free_addresses);
  look_up("cuMemGetAllocationGranularity", kCuda10, api.granularity);
  look_up("cuMemCreate", kCuda10, api.create);
  look_up("cuMemRelease", kCuda10, api.release);
  look_up("cuMemMap", kCuda10, api.map);
  look_up("cuMemUnmap", kCuda10, api.unmap);
  look_up("cuMemSetAccess", kCuda10, api.set_access);
  look_up("cuTensorMapEncodeTiled", kCuda12, api.encode_tiles);
  return api;
}

}  // namespace

void DriverApi::check(CUresult status, const char* call) const {
  if (status == CUDA_SUCCESS) return;
  const char* words = nullptr;
  error_string(status, &words);
  throw DeviceError(std::string(call) + ": " + (words == nullptr ? "an error that the driver does not know" : words));
}

const DriverApi& driver_api() {
  static const DriverApi api = load();
  return api;
}

}  // namespace krait::cuda
