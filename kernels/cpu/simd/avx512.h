#pragma once

// The tests run this code on any machine through SIMDe, which implements the intrinsics in portable C.
#ifdef KRAIT_SIMDE
#include "tests/kernels/simde_avx512.h"
#else
#include <immintrin.h>
#endif

#include <cstdint>

#include "kernels/cpu/simd/add_eights.h"

namespace krait::cpu {
namespace {

/// Sixteen floats as one AVX-512 register (F, BW, DQ, VL). `VecPortable` defines what each function does.
struct VecAvx512 {
  static constexpr int kRegisters = 32;
  static constexpr int kGemmRows = 12;
  static constexpr int kGemmVectors = 2;
  static constexpr int kQuantizedRows = 12;

  using F = __m512;
  using I = __m512i;
  using M = __mmask16;

  static F zero() { return _mm512_setzero_ps(); }
  static F set1(float x) { return _mm512_set1_ps(x); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static F load_n(const float* p, int n) { return _mm512_maskz_loadu_ps(lanes_below(n), p); }
  static void store(float* p, F a) { _mm512_storeu_ps(p, a); }
  static void store_n(float* p, F a, int n) { _mm512_mask_storeu_ps(p, lanes_below(n), a); }

  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F min(F a, F b) { return _mm512_min_ps(a, b); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F sqrt(F a) { return _mm512_sqrt_ps(a); }
  static F neg(F a) { return from_bits(_mm512_xor_si512(bits(a), iset1(INT32_MIN))); }
  static F abs(F a) { return from_bits(_mm512_and_si512(bits(a), iset1(INT32_MAX))); }

  static M lt(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
  static M is_nan(F a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
  static bool any(M m) { return m != 0; }
  static F select(M m, F a, F b) { return _mm512_mask_blend_ps(m, b, a); }

  static I bits(F a) { return _mm512_castps_si512(a); }
  static F from_bits(I a) { return _mm512_castsi512_ps(a); }
  static F to_float(I a) { return _mm512_cvtepi32_ps(a); }
  static I iset1(std::int32_t x) { return _mm512_set1_epi32(x); }
  static I iadd(I a, I b) { return _mm512_add_epi32(a, b); }
  static I isub(I a, I b) { return _mm512_sub_epi32(a, b); }
  static I iand(I a, I b) { return _mm512_and_si512(a, b); }
  static I ior(I a, I b) { return _mm512_or_si512(a, b); }
  template <int N>
  static I shl(I a) {
    return _mm512_slli_epi32(a, N);
  }
  template <int N>
  static I sar(I a) {
    return _mm512_srai_epi32(a, N);
  }

  static I load_words(const std::int8_t* p) { return _mm512_loadu_si512(p); }
  static void store_words(std::int8_t* p, I a) { _mm512_storeu_si512(p, a); }
  static I load_bytes(const std::int8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static void store_bytes(std::int8_t* p, I a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a));
  }
  static constexpr float kBytesOffset = 0.0F;
  static I weight_bytes(I w) { return w; }
  static I dot_bytes(I acc, I w, I x) {
    const I signed_x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x);
    const I pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(w), signed_x);
    return iadd(acc, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
  static I dot_nibbles(I acc, I w, I x) { return _mm512_add_epi16(acc, _mm512_maddubs_epi16(w, x)); }
  static I sum_nibbles(I acc) { return _mm512_madd_epi16(acc, _mm512_set1_epi16(1)); }

  static float reduce_add(F a) {
    const __m256 eight = _mm256_add_ps(low(a), high(a));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static void reduce_add4(F a, F b, F c, F d, float* out) {
    add_eights(_mm256_add_ps(low(a), high(a)), _mm256_add_ps(low(b), high(b)), _mm256_add_ps(low(c), high(c)),
               _mm256_add_ps(low(d), high(d)), out);
  }
  static float reduce_max(F a) {
    const __m256 eight = _mm256_max_ps(low(a), high(a));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  static F load_bf16(const std::uint16_t* p) { return from_bits(shl<16>(_mm512_cvtepu16_epi32(load16(p)))); }
  static void store_bf16(std::uint16_t* p, F a) { store16(p, _mm512_cvtepi32_epi16(bf16_bits(a))); }
  static F round_bf16(F a) { return from_bits(shl<16>(bf16_bits(a))); }
  static F load_f16(const std::uint16_t* p) { return _mm512_cvtph_ps(load16(p)); }
  static void store_f16(std::uint16_t* p, F a) { store16(p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT)); }
  static F round_f16(F a) { return _mm512_cvtph_ps(_mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT)); }

 private:
  static M lanes_below(int n) { return static_cast<M>(n >= 16 ? 0xffff : n <= 0 ? 0 : (1 << n) - 1); }
  static __m256 low(F a) { return _mm512_castps512_ps256(a); }
  static __m256 high(F a) { return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a), 1)); }
  static __m256i load16(const std::uint16_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static void store16(std::uint16_t* p, __m256i v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  /// Round to nearest even in the upper halves, shifted down; a NaN stays one.
  static I bf16_bits(F a) {
    const I odd = _mm512_and_si512(_mm512_srli_epi32(bits(a), 16), iset1(1));
    const I rounded = iadd(bits(a), iadd(odd, iset1(0x7fff)));
    const I quiet = ior(bits(a), iset1(0x400000));
    return _mm512_srli_epi32(_mm512_mask_blend_epi32(is_nan(a), rounded, quiet), 16);
  }
};

}  // namespace
}  // namespace krait::cpu
