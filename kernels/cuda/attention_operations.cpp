#include "kernels/cuda/cuda_operations.h"
#include "kernels/result.h"

namespace krait::cuda {

void CudaOperations::qk_norm_rope_write_kv(const WriteKvArgs& /*args*/) {
  KRAIT_BUG("qk_norm_rope_write_kv is not there on the CUDA platform yet");
}
void CudaOperations::paged_attention(const PagedAttentionArgs& /*args*/) {
  KRAIT_BUG("paged_attention is not there on the CUDA platform yet");
}

}  // namespace krait::cuda
