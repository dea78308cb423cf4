#pragma once

#include <memory>

#include "kernels/cuda/attention/paged_attention.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/ssm/state_update.h"
#include "kernels/cuda/step_memory.h"
#include "kernels/kernel_library.h"
#include "kernels/operations/attention_args.h"
#include "kernels/operations/scan_args.h"
#include "kernels/result.h"

namespace krait::cuda {

class StepStage;

/// Whether this build has FlashInfer and it computes such an operation; the error is a sentence.
Status flashinfer_supports(const Device& device, const AttentionForm& form);
Status flashinfer_supports(const Device& device, const StateUpdateForm& form);

/// FlashInfer's kernels behind two of our operations, for what `flashinfer_supports`. Bound to a stream; not
/// thread-safe. A build without FlashInfer has none (`make_flashinfer` is null).
class FlashInfer {
 public:
  virtual ~FlashInfer() = default;
  /// `kernel` is `args` on the device.
  virtual void attend(const PagedAttentionArgs& args, const PagedAttention& kernel) = 0;
  virtual void update(const SelectiveStateUpdateArgs& args, const StateUpdate& kernel) = 0;
  /// The next step begins, and copies for the step before the last one are done, as in `StepStage::stage_together`.
  virtual void begin_step() = 0;
  /// The stream was waited for.
  virtual void reset() = 0;
};
std::unique_ptr<FlashInfer> make_flashinfer(Device& device, StepMemory& memory, StepStage& stage, Stream stream);

}  // namespace krait::cuda
