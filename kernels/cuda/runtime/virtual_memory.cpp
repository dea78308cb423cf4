#include "kernels/cuda/runtime/virtual_memory.h"

#include <algorithm>
#include <vector>

#include "kernels/cuda/cuda_check.h"
#include "kernels/cuda/runtime/driver_api.h"

namespace krait::cuda {
namespace {

std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

CUmemAllocationProp properties(int ordinal) {
  CUmemAllocationProp prop{};
  prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  prop.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  prop.location.id = ordinal;
  return prop;
}

class VirtualMemory final : public ReservedMemory {
 public:
  VirtualMemory(int ordinal, std::size_t capacity, cudaStream_t stream) : ordinal_(ordinal), stream_(stream) {
    const CUmemAllocationProp prop = properties(ordinal_);
    driver_.check(driver_.granularity(&page_, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM),
                  "cuMemGetAllocationGranularity");
    capacity_ = round_up(std::max<std::size_t>(capacity, 1), page_);
    driver_.check(driver_.reserve_addresses(&base_, capacity_, 0, 0, 0), "cuMemAddressReserve");
  }
  ~VirtualMemory() override {
    cudaSetDevice(ordinal_);
    give_back(0);
    driver_.free_addresses(base_, capacity_);
  }
  VirtualMemory(const VirtualMemory&) = delete;
  VirtualMemory& operator=(const VirtualMemory&) = delete;

  [[nodiscard]] std::byte* data() const override { return reinterpret_cast<std::byte*>(base_); }
  [[nodiscard]] std::size_t capacity() const override { return capacity_; }
  [[nodiscard]] std::size_t committed() const override { return committed_; }
  [[nodiscard]] bool host_accessible() const override { return false; }

  [[nodiscard]] bool commit(std::size_t bytes) override {
    if (bytes > capacity_) return false;
    const std::size_t wanted = round_up(bytes, page_);
    if (wanted <= committed_) return true;
    check(cudaSetDevice(ordinal_), "cudaSetDevice");
    const std::size_t size = wanted - committed_;
    const CUmemAllocationProp prop = properties(ordinal_);
    CUmemGenericAllocationHandle handle{};
    const CUresult created = driver_.create(&handle, size, &prop, 0);
    if (created == CUDA_ERROR_OUT_OF_MEMORY) return false;
    driver_.check(created, "cuMemCreate");
    map(handle, size);
    blocks_.push_back(committed_);
    const std::size_t begin = committed_;
    committed_ = wanted;
    check(cudaMemsetAsync(data() + begin, 0, size, stream_), "cudaMemsetAsync");
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    return true;
  }

  void shrink(std::size_t bytes) override {
    if (blocks_.empty() || bytes > blocks_.back()) return;
    check(cudaSetDevice(ordinal_), "cudaSetDevice");
    // Unmapping does not wait for kernels that still read the memory.
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    give_back(bytes);
  }

  // A page of the device holds many items: what one of them would give back is less than the calls cost.
  void discard(std::size_t /*offset*/, std::size_t /*bytes*/) override {}

 private:
  /// The mapping alone keeps the memory: the handle is released whether it worked or not.
  void map(CUmemGenericAllocationHandle handle, std::size_t size) {
    const CUdeviceptr at = base_ + committed_;
    const CUresult mapped = driver_.map(at, size, 0, handle, 0);
    driver_.release(handle);
    driver_.check(mapped, "cuMemMap");
    CUmemAccessDesc access{};
    access.location = properties(ordinal_).location;
    access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    const CUresult allowed = driver_.set_access(at, size, &access, 1);
    if (allowed != CUDA_SUCCESS) driver_.unmap(at, size);
    driver_.check(allowed, "cuMemSetAccess");
  }

  /// Unmaps the blocks that begin at `bytes` or behind it.
  void give_back(std::size_t bytes) {
    while (!blocks_.empty() && blocks_.back() >= bytes) {
      driver_.unmap(base_ + blocks_.back(), committed_ - blocks_.back());
      committed_ = blocks_.back();
      blocks_.pop_back();
    }
  }

  const DriverApi& driver_ = driver_api();
  int ordinal_;
  cudaStream_t stream_;
  CUdeviceptr base_ = 0;
  std::size_t page_ = 0;
  std::size_t capacity_ = 0;
  std::size_t committed_ = 0;
  std::vector<std::size_t> blocks_;  ///< where each block begins
};

}  // namespace

std::unique_ptr<ReservedMemory> reserve_virtual_memory(int ordinal, std::size_t capacity, cudaStream_t stream) {
  return std::make_unique<VirtualMemory>(ordinal, capacity, stream);
}

}  // namespace krait::cuda
