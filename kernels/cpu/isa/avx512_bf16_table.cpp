// Compiled for AVX-512 with BF16; see avx512_table.cpp.
#include "kernels/cpu/simd/avx512.h"

#include "kernels/cpu/isa/gemm_pairs_kernel.h"
#include "kernels/cpu/kernel_table.h"

namespace krait::cpu {

GemmFn avx512_gemm_pairs() { return gemm_pairs<VecAvx512>; }

}  // namespace krait::cpu
