// The AVX-512 kernels over SIMDe, under other names than the product's, which are linked into the same test.
#define KRAIT_SIMDE
#define avx512_kernels simde_avx512_kernels
#define avx512_gemm_pairs simde_avx512_gemm_pairs
#define avx512_vnni_gemm_int8 simde_avx512_vnni_gemm_int8
#include "kernels/cpu/isa/avx512_bf16_table.cpp"
#include "kernels/cpu/isa/avx512_table.cpp"
#include "kernels/cpu/isa/avx512_vnni_table.cpp"
