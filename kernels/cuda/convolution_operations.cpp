#include "kernels/cuda/cuda_operations.h"
#include "kernels/result.h"

namespace krait::cuda {

void CudaOperations::causal_conv1d(const CausalConv1dArgs& /*args*/) {
  KRAIT_BUG("causal_conv1d is not there on the CUDA platform yet");
}
void CudaOperations::grouped_causal_conv1d(const GroupedCausalConv1dArgs& /*args*/) {
  KRAIT_BUG("grouped_causal_conv1d is not there on the CUDA platform yet");
}

}  // namespace krait::cuda
