#include "kernels/cuda/cuda_operations.h"
#include "kernels/result.h"

namespace krait::cuda {

void CudaOperations::sample(const SampleArgs& /*args*/) { KRAIT_BUG("sample is not there on the CUDA platform yet"); }

}  // namespace krait::cuda
