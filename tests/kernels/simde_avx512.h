#pragma once

// The AVX-512 intrinsics that the kernels use, from SIMDe under their native names, and the few that its release lacks
// as plain loops over lanes.
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>

#include <cstdint>

namespace krait::simde {

template <typename To, typename From, typename Fn>
To map_lanes(From from, Fn fn) {
  To to;
  static_assert(sizeof(to.lane) / sizeof(to.lane[0]) == 16);
  for (int i = 0; i < 16; ++i) to.lane[i] = fn(from.lane[i]);
  return to;
}

struct Float32Lanes {
  float lane[16];
};
struct Int32Lanes {
  std::int32_t lane[16];
};
struct UInt16Lanes {
  std::uint16_t lane[16];
};

inline simde__m512 cvtepi32_ps(simde__m512i a) {
  return __builtin_bit_cast(simde__m512, map_lanes<Float32Lanes>(__builtin_bit_cast(Int32Lanes, a),
                                                                 [](std::int32_t x) { return static_cast<float>(x); }));
}
inline simde__m512i cvtepu16_epi32(simde__m256i a) {
  return __builtin_bit_cast(simde__m512i, map_lanes<Int32Lanes>(__builtin_bit_cast(UInt16Lanes, a),
                                                                [](std::uint16_t x) { return std::int32_t{x}; }));
}
inline simde__m256i cvtepi32_epi16(simde__m512i a) {
  return __builtin_bit_cast(simde__m256i, map_lanes<UInt16Lanes>(__builtin_bit_cast(Int32Lanes, a), [](std::int32_t x) {
                              return static_cast<std::uint16_t>(x);
                            }));
}
struct Int8Lanes {
  std::int8_t lane[16];
};
inline simde__m128i cvtepi32_epi8(simde__m512i a) {
  return __builtin_bit_cast(simde__m128i, map_lanes<Int8Lanes>(__builtin_bit_cast(Int32Lanes, a), [](std::int32_t x) {
                              return static_cast<std::int8_t>(x);
                            }));
}
inline simde__m512i cvtepi8_epi32(simde__m128i a) {
  return __builtin_bit_cast(simde__m512i, map_lanes<Int32Lanes>(__builtin_bit_cast(Int8Lanes, a),
                                                                [](std::int8_t x) { return std::int32_t{x}; }));
}
inline simde__m512i srai_epi32(simde__m512i a, int count) {
  return __builtin_bit_cast(simde__m512i, map_lanes<Int32Lanes>(__builtin_bit_cast(Int32Lanes, a),
                                                                [&](std::int32_t x) { return x >> count; }));
}
inline simde__m512 maskz_loadu_ps(std::uint16_t mask, const float* p) {
  Float32Lanes lanes{};
  for (int i = 0; i < 16; ++i) {
    if (((mask >> i) & 1) != 0) lanes.lane[i] = p[i];
  }
  return __builtin_bit_cast(simde__m512, lanes);
}
inline void mask_storeu_ps(float* p, std::uint16_t mask, simde__m512 a) {
  const auto lanes = __builtin_bit_cast(Float32Lanes, a);
  for (int i = 0; i < 16; ++i) {
    if (((mask >> i) & 1) != 0) p[i] = lanes.lane[i];
  }
}

struct Halves {
  simde__m128i low, high;
};
struct Pair {
  simde__m256 low, high;
};
inline simde__m512 cvtph_ps(simde__m256i a) {
  const auto halves = __builtin_bit_cast(Halves, a);
  return __builtin_bit_cast(simde__m512, Pair{simde_mm256_cvtph_ps(halves.low), simde_mm256_cvtph_ps(halves.high)});
}
inline simde__m256i cvtps_ph(simde__m512 a) {
  const auto pair = __builtin_bit_cast(Pair, a);
  return __builtin_bit_cast(simde__m256i,
                            Halves{simde_mm256_cvtps_ph(pair.low, 0), simde_mm256_cvtps_ph(pair.high, 0)});
}

// Not inlined: the kernels over bytes have hundreds of each, and emulated ones are long.
[[gnu::noinline]] inline simde__m512i dpbusd_epi32(simde__m512i acc, simde__m512i a, simde__m512i b) {
  return simde_mm512_dpbusd_epi32(acc, a, b);
}
[[gnu::noinline]] inline simde__m512i maddubs_epi16(simde__m512i a, simde__m512i b) {
  return simde_mm512_maddubs_epi16(a, b);
}
[[gnu::noinline]] inline simde__m512i madd_epi16(simde__m512i a, simde__m512i b) {
  return simde_mm512_madd_epi16(a, b);
}
[[gnu::noinline]] inline simde__m512i mask_sub_epi8(simde__m512i from, std::uint64_t mask, simde__m512i a,
                                                    simde__m512i b) {
  return simde_mm512_mask_sub_epi8(from, mask, a, b);
}
[[gnu::noinline]] inline std::uint64_t movepi8_mask(simde__m512i a) { return simde_mm512_movepi8_mask(a); }
[[gnu::noinline]] inline simde__m512i abs_epi8(simde__m512i a) { return simde_mm512_abs_epi8(a); }

}  // namespace krait::simde

// SIMDe's own alias asks for the arguments of the masked form.
#undef _mm512_madd_epi16
#define _mm512_madd_epi16(a, b) krait::simde::madd_epi16(a, b)
#undef _mm512_dpbusd_epi32
#define _mm512_dpbusd_epi32(acc, a, b) krait::simde::dpbusd_epi32(acc, a, b)
#undef _mm512_maddubs_epi16
#define _mm512_maddubs_epi16(a, b) krait::simde::maddubs_epi16(a, b)
#undef _mm512_mask_sub_epi8
#define _mm512_mask_sub_epi8(from, mask, a, b) krait::simde::mask_sub_epi8(from, mask, a, b)
#undef _mm512_movepi8_mask
#define _mm512_movepi8_mask(a) krait::simde::movepi8_mask(a)
#undef _mm512_abs_epi8
#define _mm512_abs_epi8(a) krait::simde::abs_epi8(a)
#define _mm512_cvtepi32_ps(a) krait::simde::cvtepi32_ps(a)
#define _mm512_cvtepu16_epi32(a) krait::simde::cvtepu16_epi32(a)
#define _mm512_cvtepi32_epi16(a) krait::simde::cvtepi32_epi16(a)
#define _mm512_cvtepi32_epi8(a) krait::simde::cvtepi32_epi8(a)
#define _mm512_cvtepi8_epi32(a) krait::simde::cvtepi8_epi32(a)
#define _mm512_srai_epi32(a, count) krait::simde::srai_epi32(a, count)
#define _mm512_maskz_loadu_ps(mask, p) krait::simde::maskz_loadu_ps(mask, p)
#define _mm512_mask_storeu_ps(p, mask, a) krait::simde::mask_storeu_ps(p, mask, a)
#define _mm512_cvtph_ps(a) krait::simde::cvtph_ps(a)
#define _mm512_cvtps_ph(a, rounding) krait::simde::cvtps_ph(a)
