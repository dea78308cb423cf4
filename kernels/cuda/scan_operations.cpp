#include "kernels/cuda/cuda_operations.h"
#include "kernels/result.h"

namespace krait::cuda {

void CudaOperations::ssm_scan(const SsmScanArgs& /*args*/) {
  KRAIT_BUG("ssm_scan is not there on the CUDA platform yet");
}
void CudaOperations::selective_scan(const SelectiveScanArgs& /*args*/) {
  KRAIT_BUG("selective_scan is not there on the CUDA platform yet");
}
void CudaOperations::selective_state_update(const SelectiveStateUpdateArgs& /*args*/) {
  KRAIT_BUG("selective_state_update is not there on the CUDA platform yet");
}

}  // namespace krait::cuda
