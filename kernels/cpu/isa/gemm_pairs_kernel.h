#pragma once

#include "kernels/cpu/isa/gemm_kernel.h"
#include "kernels/cpu/simd/avx512.h"

namespace krait::cpu {
namespace {

/// Two steps of k at once: the bf16 dot product of AVX-512 (VDPBF16PS), which adds the pair's products to the
/// accumulator with its own rounding. Other bits than float32 fma, but one order of pairs for any number of rows and
/// threads.
template <typename V>
struct MacPairs {
  using A = std::uint32_t;
  using B = std::uint32_t;
  static constexpr bool kExpands = false;
  static __m512i broadcast(std::uint32_t a) { return _mm512_set1_epi32(static_cast<int>(a)); }
  static __m512i weights(const std::uint32_t* p) { return _mm512_loadu_si512(p); }
  static __m512 mac(__m512i a, __m512i b, __m512 c) {
    return _mm512_dpbf16_ps(c, __builtin_bit_cast(__m512bh, a), __builtin_bit_cast(__m512bh, b));
  }
};

template <typename V>
void gemm_pairs(const GemmArgs& args, const GemmUnit& unit, float* scratch) {
  gemm_unit<V, MacPairs<V>>(args, unit, args.x_pairs, args.pairs_stride, (args.weight.k + 1) / 2, scratch);
}

}  // namespace
}  // namespace krait::cpu
