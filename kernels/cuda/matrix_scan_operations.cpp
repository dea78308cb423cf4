#include "kernels/cuda/cuda_operations.h"
#include "kernels/result.h"

namespace krait::cuda {

void CudaOperations::delta_rule(const DeltaRuleArgs& /*args*/) {
  KRAIT_BUG("delta_rule is not there on the CUDA platform yet");
}
void CudaOperations::linear_attention(const LinearAttentionArgs& /*args*/) {
  KRAIT_BUG("linear_attention is not there on the CUDA platform yet");
}
void CudaOperations::rg_lru(const RgLruArgs& /*args*/) { KRAIT_BUG("rg_lru is not there on the CUDA platform yet"); }

}  // namespace krait::cuda
