#include "bench/peak_loops.h"

#include <cstddef>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace krait::bench {
namespace {

/// Enough that no instruction waits for its own last result: the longest chain is 5 cycles at two a cycle.
constexpr std::size_t kChains = 12;
using Chains = std::make_index_sequence<kChains>;

/// Of dot products made of three instructions, whose sums wait for one addition only; with their operands they must fit
/// sixteen registers.
constexpr std::size_t kDotChains = 6;
using DotChains = std::make_index_sequence<kDotChains>;

/// What the compiler makes vectors of: four lanes are the least that any of today's processors has.
constexpr std::size_t kPortableSums = 4 * kChains;
volatile float portable_factor = 0.5F;

void portable(std::int64_t iterations) {
  float sums[kPortableSums] = {};
  asm volatile("" : "+m"(sums));
  const float factor = portable_factor;
  for (std::int64_t i = 0; i < iterations; ++i) {
    for (float& sum : sums) sum = sum * factor + 1.0F;
  }
  asm volatile("" : : "m"(sums));
}

#if defined(__x86_64__)

// NOLINTBEGIN: each function has the target of its instructions, so none can be shared between them.
#define KRAIT_AVX2 __attribute__((target("avx2,fma")))
#define KRAIT_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define KRAIT_AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define KRAIT_AVX512_VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))

/// The compiler must not see that all chains have the same values, or it computes one of them.
template <typename Vector>
KRAIT_AVX2 inline void avx2_hide(Vector& chain) {
  asm volatile("" : "+x"(chain));
}
template <typename Vector>
KRAIT_AVX512 inline void avx512_hide(Vector& chain) {
  asm volatile("" : "+v"(chain));
}

template <std::size_t... I>
KRAIT_AVX2 void avx2_float32(std::int64_t iterations, std::index_sequence<I...>) {
  __m256 sums[kChains] = {};
  const __m256 x = _mm256_set1_ps(1.25F);
  const __m256 y = _mm256_set1_ps(0.5F);
  (avx2_hide(sums[I]), ...);
  for (std::int64_t i = 0; i < iterations; ++i) ((sums[I] = _mm256_fmadd_ps(x, y, sums[I])), ...);
  asm volatile("" : : "m"(sums));
}
KRAIT_AVX2 void avx2_float32(std::int64_t iterations) { avx2_float32(iterations, Chains{}); }

/// u8 x s8 to 32 bits as AVX2 has it. The barrier keeps the products from being computed once for all.
KRAIT_AVX2 inline void avx2_dot(__m256i& sum, __m256i& x, __m256i y, __m256i ones) {
  asm volatile("" : "+x"(x));
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), ones));
}
template <std::size_t... I>
KRAIT_AVX2 void avx2_int8(std::int64_t iterations, std::index_sequence<I...>) {
  __m256i sums[kDotChains] = {};
  __m256i x = _mm256_set1_epi8(3);
  const __m256i y = _mm256_set1_epi8(2);
  const __m256i ones = _mm256_set1_epi16(1);
  (avx2_hide(sums[I]), ...);
  for (std::int64_t i = 0; i < iterations; ++i) (avx2_dot(sums[I], x, y, ones), ...);
  asm volatile("" : : "m"(sums));
}
KRAIT_AVX2 void avx2_int8(std::int64_t iterations) { avx2_int8(iterations, DotChains{}); }

template <std::size_t... I>
KRAIT_AVX512 void avx512_float32(std::int64_t iterations, std::index_sequence<I...>) {
  __m512 sums[kChains] = {};
  const __m512 x = _mm512_set1_ps(1.25F);
  const __m512 y = _mm512_set1_ps(0.5F);
  (avx512_hide(sums[I]), ...);
  for (std::int64_t i = 0; i < iterations; ++i) ((sums[I] = _mm512_fmadd_ps(x, y, sums[I])), ...);
  asm volatile("" : : "m"(sums));
}
KRAIT_AVX512 void avx512_float32(std::int64_t iterations) { avx512_float32(iterations, Chains{}); }

KRAIT_AVX512 inline void avx512_dot(__m512i& sum, __m512i& x, __m512i y, __m512i ones) {
  asm volatile("" : "+v"(x));
  sum = _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(x, y), ones));
}
template <std::size_t... I>
KRAIT_AVX512 void avx512_int8(std::int64_t iterations, std::index_sequence<I...>) {
  __m512i sums[kDotChains] = {};
  __m512i x = _mm512_set1_epi8(3);
  const __m512i y = _mm512_set1_epi8(2);
  const __m512i ones = _mm512_set1_epi16(1);
  (avx512_hide(sums[I]), ...);
  for (std::int64_t i = 0; i < iterations; ++i) (avx512_dot(sums[I], x, y, ones), ...);
  asm volatile("" : : "m"(sums));
}
KRAIT_AVX512 void avx512_int8(std::int64_t iterations) { avx512_int8(iterations, DotChains{}); }

template <std::size_t... I>
KRAIT_AVX512_BF16 void avx512_bfloat16(std::int64_t iterations, std::index_sequence<I...>) {
  __m512 sums[kChains] = {};
  const __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1.25F), _mm512_set1_ps(1.25F));
  (avx512_hide(sums[I]), ...);
  for (std::int64_t i = 0; i < iterations; ++i) ((sums[I] = _mm512_dpbf16_ps(sums[I], x, x)), ...);
  asm volatile("" : : "m"(sums));
}
KRAIT_AVX512_BF16 void avx512_bfloat16(std::int64_t iterations) { avx512_bfloat16(iterations, Chains{}); }

template <std::size_t... I>
KRAIT_AVX512_VNNI void avx512_vnni(std::int64_t iterations, std::index_sequence<I...>) {
  __m512i sums[kChains] = {};
  const __m512i x = _mm512_set1_epi8(3);
  (avx512_hide(sums[I]), ...);
  for (std::int64_t i = 0; i < iterations; ++i) ((sums[I] = _mm512_dpbusd_epi32(sums[I], x, x)), ...);
  asm volatile("" : : "m"(sums));
}
KRAIT_AVX512_VNNI void avx512_vnni(std::int64_t iterations) { avx512_vnni(iterations, Chains{}); }
// NOLINTEND

/// Operations of an iteration: a multiplication and an addition a lane.
PeakLoop loop(void (*run)(std::int64_t), int lanes, std::size_t chains = kChains) {
  return {.run = run, .operations = 2.0 * static_cast<double>(chains) * lanes};
}

PeakLoops avx512_loops() {
  PeakLoops loops{.isa = "AVX-512",
                  .float32 = loop(avx512_float32, 16),
                  .bfloat16 = loop(avx512_float32, 16),
                  .int8 = loop(avx512_int8, 64, kDotChains)};
  if (__builtin_cpu_supports("avx512bf16")) {
    loops.isa += " BF16";
    loops.bfloat16 = loop(avx512_bfloat16, 32);
  }
  if (__builtin_cpu_supports("avx512vnni")) {
    loops.isa += " VNNI";
    loops.int8 = loop(avx512_vnni, 64);
  }
  return loops;
}

#endif

}  // namespace

PeakLoops choose_peak_loops(std::string_view isa) {
#if defined(__x86_64__)
  if ((isa == "auto" || isa == "avx512") && __builtin_cpu_supports("avx512vl")) return avx512_loops();
  if (isa != "portable" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return {.isa = "AVX2",
            .float32 = loop(avx2_float32, 8),
            .bfloat16 = loop(avx2_float32, 8),
            .int8 = loop(avx2_int8, 32, kDotChains)};
  }
#endif
  static_cast<void>(isa);
  const PeakLoop scalar{.run = portable, .operations = 2.0 * kPortableSums};
  return {.isa = "portable", .float32 = scalar, .bfloat16 = scalar, .int8 = scalar};
}

}  // namespace krait::bench
