#include "kernels/cuda/cuda_operations.h"
#include "kernels/result.h"

namespace krait::cuda {

void CudaOperations::moe(const MoeArgs& /*args*/) { KRAIT_BUG("moe is not there on the CUDA platform yet"); }

}  // namespace krait::cuda
