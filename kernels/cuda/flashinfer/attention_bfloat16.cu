#include "kernels/cuda/flashinfer/attention.cuh"

namespace krait::cuda {

void flashinfer_attention_bfloat16(const FlashInferAttention& args, Stream stream) {
  attend<nv_bfloat16>(args, stream);
}

}  // namespace krait::cuda
