#include <flashinfer/exception.h>

#include <flashinfer/attention/scheduler.cuh>

#include "kernels/cuda/flashinfer/attention_calls.h"
#include "kernels/cuda/flashinfer/calls.cuh"

namespace krait::cuda {
namespace {

/// Calls `plan` with what all forms of FlashInfer's planning take of a batch.
template <typename Plan>
void with_batch(const FlashInferBatch& batch, Stream stream, const Plan& plan) {
  constexpr int kAnySplit = -1;
  const auto requests = static_cast<std::uint32_t>(batch.query_start_loc.size() - 1);
  const auto dim = static_cast<std::uint32_t>(batch.head_dim);
  check(
      plan(const_cast<std::int32_t*>(batch.query_start_loc.data()),
           const_cast<std::int32_t*>(batch.page_start_loc.data()),
           static_cast<std::uint32_t>(batch.query_start_loc.back()), requests, static_cast<std::uint32_t>(batch.heads),
           static_cast<std::uint32_t>(batch.kv_heads), dim, dim, static_cast<std::uint32_t>(batch.block_size),
           /*enable_cuda_graph=*/false, sizeof(float), batch.sliding_window - 1, kAnySplit, /*disable_split_kv=*/false,
           /*num_colocated_ctas=*/0, /*uniform_q_len=*/0, static_cast<cudaStream_t>(stream)),
      "FlashInfer's plan");
}

}  // namespace

FlashInferPlanBytes flashinfer_plan_bytes(const FlashInferBatch& batch, Stream stream) {
  FlashInferPlanBytes bytes;
  call_flashinfer([&] {
    with_batch(batch, stream, [&](auto... of_batch) {
      return flashinfer::PrefillPlanWorkspaceSize<std::int32_t>(bytes.partials, bytes.tables, of_batch...);
    });
  });
  return bytes;
}

std::vector<std::int64_t> make_flashinfer_plan(const FlashInferBatch& batch, const FlashInferPlanBytes& bytes,
                                               void* tables, void* pinned, void* partials, Stream stream) {
  flashinfer::PrefillPlanInfo plan;
  call_flashinfer([&] {
    with_batch(batch, stream, [&](auto... of_batch) {
      return flashinfer::PrefillPlan<std::int32_t>(partials, bytes.partials, tables, pinned, bytes.tables, plan,
                                                   of_batch...);
    });
  });
  return plan.ToVector();
}

}  // namespace krait::cuda
