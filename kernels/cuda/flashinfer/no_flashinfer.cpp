// What a build without FlashInfer has in its place.

#include "kernels/cuda/flashinfer/flashinfer.h"

namespace krait::cuda {
namespace {

Status not_built_in() {
  return Error{.code = ErrorCode::kUnsupported,
               .message =
                   "FlashInfer is not built in: fetch its headers with scripts/install-deps --flashinfer and "
                   "configure with -DKRAIT_CUDA=ON -DKRAIT_FLASHINFER=ON. Valid options are: native",
               .field = {}};
}

}  // namespace

Status flashinfer_supports(const Device& /*device*/, const AttentionForm& /*form*/) { return not_built_in(); }
Status flashinfer_supports(const Device& /*device*/, const StateUpdateForm& /*form*/) { return not_built_in(); }

std::unique_ptr<FlashInfer> make_flashinfer(Device& /*device*/, StepMemory& /*memory*/, StepStage& /*stage*/,
                                            Stream /*stream*/) {
  return nullptr;
}

}  // namespace krait::cuda
