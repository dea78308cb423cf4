#include "kernels/cuda/runtime/nccl_communicator.h"

#include <nccl.h>

#include <cstring>
#include <string>

#include "kernels/view_checks.h"

namespace krait::cuda {
namespace {

static_assert(sizeof(ncclUniqueId) == sizeof(NcclGroupId));

void check(ncclResult_t status, const char* call) {
  if (status == ncclSuccess) return;
  throw DeviceError(std::string(call) + ": " + ncclGetErrorString(status));
}

ncclDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return ncclFloat32;
    case DType::kFloat16:
      return ncclFloat16;
    case DType::kBFloat16:
      return ncclBfloat16;
    default:
      KRAIT_BUG("a collective operation on " + std::string(dtype_name(dtype)));
  }
}

std::size_t elements(const TensorView& view) {
  require(view.rows() <= 1 || view.row_stride == view.columns(), "a collective operation on rows that lie apart");
  return static_cast<std::size_t>(view.shape.elements());
}

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(Device& device, Stream stream, const NcclGroupId& group, int rank, int size)
      : device_(device), stream_(static_cast<cudaStream_t>(stream)), size_(size) {
    device_.make_current();
    ncclUniqueId id;
    std::memcpy(&id, group.data(), sizeof(id));
    check(ncclCommInitRank(&group_, size, id, rank), "ncclCommInitRank");
  }
  ~NcclCommunicator() override { ncclCommDestroy(group_); }
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  void all_reduce(const TensorView& data) override {
    device_.make_current();
    check(ncclAllReduce(data.data, data.data, elements(data), type_of(data.dtype), ncclSum, group_, stream_),
          "ncclAllReduce");
  }
  void all_gather(const TensorView& in, const TensorView& out) override {
    require(in.dtype == out.dtype && elements(out) == elements(in) * static_cast<std::size_t>(size_),
            "what all ranks gather");
    device_.make_current();
    check(ncclAllGather(in.data, out.data, elements(in), type_of(in.dtype), group_, stream_), "ncclAllGather");
  }
  void broadcast(const TensorView& data, int root) override {
    require(root >= 0 && root < size_, "the rank that broadcasts");
    device_.make_current();
    check(ncclBroadcast(data.data, data.data, elements(data), type_of(data.dtype), root, group_, stream_),
          "ncclBroadcast");
  }

 private:
  Device& device_;
  cudaStream_t stream_;
  int size_;
  ncclComm_t group_ = nullptr;
};

}  // namespace

NcclGroupId make_nccl_group_id() {
  ncclUniqueId id;
  check(ncclGetUniqueId(&id), "ncclGetUniqueId");
  NcclGroupId group;
  std::memcpy(group.data(), &id, sizeof(id));
  return group;
}

std::unique_ptr<Communicator> make_nccl_communicator(Device& device, Stream stream, const NcclGroupId& group, int rank,
                                                     int size) {
  return std::make_unique<NcclCommunicator>(device, stream, group, rank, size);
}

}  // namespace krait::cuda
