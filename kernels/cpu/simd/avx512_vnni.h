#pragma once

#include "kernels/cpu/simd/avx512.h"

namespace krait::cpu {
namespace {

/// With the dot product of bytes (VPDPBUSD), whose first operand is unsigned: signed weights are moved up by 128.
struct VecAvx512Vnni : VecAvx512 {
  static constexpr float kBytesOffset = 128.0F;
  static I weight_bytes(I w) { return _mm512_xor_si512(w, _mm512_set1_epi8(-128)); }
  static I dot_bytes(I acc, I w, I x) { return _mm512_dpbusd_epi32(acc, w, x); }
  static I dot_nibbles(I acc, I w, I x) { return _mm512_dpbusd_epi32(acc, w, x); }
  static I sum_nibbles(I acc) { return acc; }
};

}  // namespace
}  // namespace krait::cpu
