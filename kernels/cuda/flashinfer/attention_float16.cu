#include "kernels/cuda/flashinfer/attention.cuh"

namespace krait::cuda {

void flashinfer_attention_float16(const FlashInferAttention& args, Stream stream) { attend<half>(args, stream); }

}  // namespace krait::cuda
