#include "kernels/cpu/kernel_table.h"

// The tables that a build for another architecture does not have.
namespace krait::cpu {

const KernelTable* avx2_kernels() { return nullptr; }
const KernelTable* avx512_kernels() { return nullptr; }
GemmFn avx512_gemm_pairs() { return nullptr; }
GemmFn avx512_vnni_gemm_int8() { return nullptr; }

}  // namespace krait::cpu
