#include "kernels/cuda/attention/attention_mma.cuh"

namespace krait::cuda {

bool attention_float16(const PagedAttention& args, const AttentionPart& part, const Partials& partials, Stream stream) {
  return attend_by_mma<float16>(args, part, partials, stream);
}

}  // namespace krait::cuda
