#pragma once

#include <memory>

#include "kernels/cuda/device.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/weight_uploader.h"
#include "kernels/platform.h"

namespace krait {

/// NVIDIA GPUs: one device, its memory, and our kernels beside a library's dense product. Prefill kernels work in
/// chunks, so results depend on how a prompt was cut (`exact_splits` is false).
class CudaPlatform final : public Platform {
 public:
  CudaPlatform(std::unique_ptr<cuda::Device> device, std::unique_ptr<cuda::Gemm> gemm);

  [[nodiscard]] std::string_view name() const override { return "cuda"; }
  [[nodiscard]] std::string description() const override;
  [[nodiscard]] std::string numerics() const override;
  Buffer allocate(std::size_t bytes) override;
  Buffer upload(const void* from, std::size_t bytes) override;
  std::unique_ptr<ReservedMemory> reserve(std::size_t capacity) override;
  [[nodiscard]] std::size_t available_memory() const override;
  std::unique_ptr<Queue> create_queue() override;
  PackedWeight pack(const WeightSource& source, const PackScheme& scheme, const Shard& shard) override;
  [[nodiscard]] DType default_compute_dtype() const override { return DType::kBFloat16; }
  [[nodiscard]] bool supports_compute_dtype(DType dtype) const override;
  [[nodiscard]] bool supports_stochastic_rounding() const override { return true; }
  [[nodiscard]] int preferred_prefill_tile() const override { return 256; }
  [[nodiscard]] Status supports_attention(KernelLibrary library, const AttentionForm& form) const override;
  [[nodiscard]] Status supports_state_update(KernelLibrary library, const StateUpdateForm& form) const override;

 private:
  std::unique_ptr<cuda::Device> device_;
  std::unique_ptr<cuda::Gemm> gemm_;
  cuda::WeightUploader uploader_;
};

}  // namespace krait
