#include "kernels/cuda/flashinfer/flashinfer.h"

#include <algorithm>
#include <vector>

#include "kernels/cuda/flashinfer/attention_plans.h"
#include "kernels/cuda/flashinfer/flashinfer_forms.h"
#include "kernels/cuda/flashinfer/state_update.h"
#include "kernels/cuda/step_stage.h"
#include "kernels/view_checks.h"

namespace krait::cuda {
namespace {

class FlashInferKernels final : public FlashInfer {
 public:
  FlashInferKernels(Device& device, StepMemory& memory, StepStage& stage, Stream stream)
      : device_(device),
        stage_(stage),
        stream_(stream),
        plans_(device, memory, stream),
        rounded_q_(memory),
        rounded_out_(memory) {}

  void attend(const PagedAttentionArgs& args, const PagedAttention& kernel) override {
    const AttentionPlan& plan = plans_.of(args, kernel);
    const auto tokens = static_cast<std::size_t>(args.query_start_loc.back());
    const std::size_t bytes =
        tokens * static_cast<std::size_t>(kernel.heads * kernel.cache.head_dim) * dtype_size(kernel.cache.dtype);
    FlashInferAttention call{.attention = kernel,
                             .page_start_loc = staged(plan.page_start_loc),
                             .pages = staged(plan.pages),
                             .last_page_tokens = staged(plan.last_page_tokens),
                             .requests = static_cast<int>(plan.last_page_tokens.size()),
                             .tokens = static_cast<int>(tokens),
                             .plan = plan.values,
                             .tables = plan.tables.data.get(),
                             .partials = plans_.partials(),
                             .rounded_q = rounded_q_.ensure(bytes),
                             .rounded_out = rounded_out_.ensure(bytes)};
    call.attention.query_start_loc = staged(plan.query_start_loc);
    if (kernel.cache.dtype == DType::kBFloat16) return flashinfer_attention_bfloat16(call, stream_);
    flashinfer_attention_float16(call, stream_);
  }

  void update(const SelectiveStateUpdateArgs& args, const StateUpdate& kernel) override {
    const SsmInputs& in = kernel.in;
    require(args.tokens == 1 && args.state.rounding.philox_rounds == 0,
            "a state update of drafts or rounded stochastically");
    require(args.has_initial_state.empty(), "a state update without an initial state");
    require(in.a_stride_head == 1 && (in.d == nullptr || in.d_stride_head == 1), "A and D one a head");
    for (const ConstRows& rows : {in.x, in.b, in.c}) require(is_aligned(rows), "rows of 16 bytes");
    flashinfer_state_update(kernel, device_.multiprocessors(), stream_);
  }

  void begin_step() override { plans_.begin_step(); }
  void reset() override { plans_.reset(); }

 private:
  static bool is_aligned(const ConstRows& rows) {
    return reinterpret_cast<std::uintptr_t>(rows.data) % 16 == 0 && rows.stride % 4 == 0;
  }
  const std::int32_t* staged(const std::vector<std::int32_t>& values) {
    return stage_.on_device(std::span<const std::int32_t>(values));
  }

  Device& device_;
  StepStage& stage_;
  Stream stream_;
  AttentionPlans plans_;
  DeviceScratch rounded_q_;
  DeviceScratch rounded_out_;
};

}  // namespace

Status flashinfer_supports(const Device& device, const AttentionForm& form) { return flashinfer_takes(device, form); }
Status flashinfer_supports(const Device& device, const StateUpdateForm& form) { return flashinfer_takes(device, form); }

std::unique_ptr<FlashInfer> make_flashinfer(Device& device, StepMemory& memory, StepStage& stage, Stream stream) {
  return std::make_unique<FlashInferKernels>(device, memory, stage, stream);
}

}  // namespace krait::cuda
