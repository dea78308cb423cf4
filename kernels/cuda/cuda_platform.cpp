#include "kernels/cuda/cuda_platform.h"

#include <utility>

#include "kernels/cuda/cuda_operations.h"
#include "kernels/cuda/cuda_weight.h"
#include "kernels/cuda/flashinfer/flashinfer.h"
#include "kernels/result.h"

namespace krait {
namespace {

class CudaQueue final : public Queue, public GraphRecorder, public TokenSampler {
 public:
  CudaQueue(cuda::Device& device, cuda::Gemm& gemm)
      : device_(device), stream_(device.create_stream()), operations_(device, gemm, stream_) {}
  ~CudaQueue() override { device_.destroy_stream(stream_); }
  CudaQueue(const CudaQueue&) = delete;
  CudaQueue& operator=(const CudaQueue&) = delete;
  Operations& ops() override {
    device_.make_current();
    return operations_;
  }
  void wait() override { operations_.wait(); }
  void download(void* to, const TensorView& from) override {
    const std::size_t bytes = static_cast<std::size_t>(from.columns()) * dtype_size(from.dtype);
    const std::size_t stride = static_cast<std::size_t>(from.row_stride) * dtype_size(from.dtype);
    const bool contiguous = bytes == stride;
    const std::int64_t copies = contiguous ? 1 : from.rows();
    for (std::int64_t i = 0; i < copies; ++i) {
      const auto row = static_cast<std::size_t>(i);
      device_.copy_to_host(static_cast<std::byte*>(to) + row * bytes, from.as<const std::byte>() + row * stride,
                           contiguous ? from.bytes() : bytes, stream_);
    }
    wait();
  }

  void stage(const StepArrays& arrays) override { operations_.stage(arrays); }
  GraphRecorder* graphs() override { return this; }
  std::unique_ptr<OperationGraph> record(const StepArrays& arrays, const std::function<void()>& operations) override {
    return operations_.record(arrays, operations);
  }
  void launch(const OperationGraph& graph) override { operations_.launch(graph); }
  TokenSampler* sampler() override { return this; }
  std::unique_ptr<PendingTokens> sample(const SampleArgs& args) override { return operations_.queue_sampling(args); }
  void feed(std::span<const std::int32_t> ids, std::span<const std::int32_t> rows) override {
    operations_.feed_tokens(ids, rows);
  }

 private:
  cuda::Device& device_;
  cuda::Stream stream_;
  cuda::CudaOperations operations_;
};

}  // namespace

CudaPlatform::CudaPlatform(std::unique_ptr<cuda::Device> device, std::unique_ptr<cuda::Gemm> gemm)
    : device_(std::move(device)), gemm_(std::move(gemm)), uploader_(*device_) {}

std::string CudaPlatform::description() const { return device_->name(); }

std::string CudaPlatform::numerics() const { return "cuda, " + device_->name(); }

Buffer CudaPlatform::allocate(std::size_t bytes) { return device_->allocate(bytes); }

Buffer CudaPlatform::upload(const void* from, std::size_t bytes) { return uploader_.copy(from, bytes); }

std::unique_ptr<ReservedMemory> CudaPlatform::reserve(std::size_t capacity) { return device_->reserve(capacity); }

std::size_t CudaPlatform::available_memory() const { return device_->free_memory(); }

std::unique_ptr<Queue> CudaPlatform::create_queue() { return std::make_unique<CudaQueue>(*device_, *gemm_); }

bool CudaPlatform::supports_compute_dtype(DType dtype) const {
  return dtype == DType::kFloat32 || dtype == DType::kBFloat16;
}

Status CudaPlatform::supports_attention(KernelLibrary library, const AttentionForm& form) const {
  return library == KernelLibrary::kNative ? ok_status() : cuda::flashinfer_supports(*device_, form);
}

Status CudaPlatform::supports_state_update(KernelLibrary library, const StateUpdateForm& form) const {
  return library == KernelLibrary::kNative ? ok_status() : cuda::flashinfer_supports(*device_, form);
}

PackedWeight CudaPlatform::pack(const WeightSource& source, const PackScheme& scheme, const Shard& shard) {
  if (!supports_compute_dtype(scheme.compute_dtype)) {
    throw StartupError("The CUDA platform does not compute in " + std::string(dtype_name(scheme.compute_dtype)) +
                       "; valid are float32 and bfloat16.");
  }
  return cuda::pack_weight(source, scheme, shard, uploader_);
}

}  // namespace krait
