// Compiled for AVX-512 with VNNI; see avx512_table.cpp.
#include "kernels/cpu/simd/avx512_vnni.h"

#include "kernels/cpu/isa/gemm_int8_kernel.h"
#include "kernels/cpu/kernel_table.h"

namespace krait::cpu {

GemmFn avx512_vnni_gemm_int8() { return gemm_int8<VecAvx512Vnni>; }

}  // namespace krait::cpu
