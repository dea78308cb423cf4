#pragma once

#include <cuda.h>
#include <cudaTypedefs.h>

#include <cstddef>

namespace krait::cuda {

/// The driver's functions for virtual memory and for descriptors of tiles, looked up at run time: a program that is
/// linked with libcuda does not even start on a machine without a driver.
struct DriverApi {
  PFN_cuGetErrorString_v6000 error_string = nullptr;
  PFN_cuMemAddressReserve_v10020 reserve_addresses = nullptr;
  PFN_cuMemAddressFree_v10020 free_addresses = nullptr;
  PFN_cuMemGetAllocationGranularity_v10020 granularity = nullptr;
  PFN_cuMemCreate_v10020 create = nullptr;
  PFN_cuMemRelease_v10020 release = nullptr;
  PFN_cuMemMap_v10020 map = nullptr;
  PFN_cuMemUnmap_v10020 unmap = nullptr;
  PFN_cuMemSetAccess_v10020 set_access = nullptr;
  PFN_cuTensorMapEncodeTiled_v12000 encode_tiles = nullptr;

  /// Throws DeviceError with the call's name and the driver's words.
  void check(CUresult status, const char* call) const;
};

/// Throws DeviceError where the driver lacks one of them.
const DriverApi& driver_api();

}  // namespace krait::cuda
