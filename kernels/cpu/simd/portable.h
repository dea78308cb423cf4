#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "kernels/dtype.h"

namespace krait::cpu {
namespace {

/// Sixteen floats in plain C++, and the definition of what the other two wrappers do: `fma` rounds once, `min` and
/// `max` return their second operand when either is a NaN (as x86 does), `reduce_add` adds lane i to i + 8, then i + 4,
/// i + 2 and i + 1.
struct VecPortable {
  static constexpr int kRegisters = 16;
  /// What a micro-kernel may hold: rows of accumulators, and vectors side by side in a row.
  static constexpr int kGemmRows = 4;
  static constexpr int kGemmVectors = 1;
  /// Rows that a micro-kernel over quantised weights holds.
  static constexpr int kQuantizedRows = 4;

  struct F {
    float v[16];
  };
  struct I {
    std::uint32_t v[16];
  };
  struct M {
    bool v[16];
  };

  template <typename Out, typename Fn>
  static Out each(Fn fn) {
    Out out;
    for (int i = 0; i < 16; ++i) out.v[i] = fn(i);
    return out;
  }

  static F zero() { return set1(0.0F); }
  static F set1(float x) {
    return each<F>([&](int) { return x; });
  }
  static F load(const float* p) {
    F out;
    std::memcpy(out.v, p, sizeof(out.v));
    return out;
  }
  static F load_n(const float* p, int n) {
    return each<F>([&](int i) { return i < n ? p[i] : 0.0F; });
  }
  static void store(float* p, const F& a) { std::memcpy(p, a.v, sizeof(a.v)); }
  static void store_n(float* p, const F& a, int n) {
    for (int i = 0; i < n && i < 16; ++i) p[i] = a.v[i];
  }

  static F add(const F& a, const F& b) {
    return each<F>([&](int i) { return a.v[i] + b.v[i]; });
  }
  static F sub(const F& a, const F& b) {
    return each<F>([&](int i) { return a.v[i] - b.v[i]; });
  }
  static F mul(const F& a, const F& b) {
    return each<F>([&](int i) { return a.v[i] * b.v[i]; });
  }
  static F div(const F& a, const F& b) {
    return each<F>([&](int i) { return a.v[i] / b.v[i]; });
  }
  static F fma(const F& a, const F& b, const F& c) {
    return each<F>([&](int i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
  }
  static F min(const F& a, const F& b) {
    return each<F>([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
  }
  static F max(const F& a, const F& b) {
    return each<F>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
  }
  static F sqrt(const F& a) {
    return each<F>([&](int i) { return __builtin_sqrtf(a.v[i]); });
  }
  static F neg(const F& a) {
    return each<F>([&](int i) { return -a.v[i]; });
  }
  static F abs(const F& a) {
    return each<F>([&](int i) { return __builtin_fabsf(a.v[i]); });
  }

  static M lt(const F& a, const F& b) {
    return each<M>([&](int i) { return a.v[i] < b.v[i]; });
  }
  static M is_nan(const F& a) {
    return each<M>([&](int i) { return a.v[i] != a.v[i]; });
  }
  static bool any(const M& m) {
    bool found = false;
    for (const bool bit : m.v) found = found || bit;
    return found;
  }
  static F select(const M& m, const F& a, const F& b) {
    return each<F>([&](int i) { return m.v[i] ? a.v[i] : b.v[i]; });
  }

  static I bits(const F& a) {
    return each<I>([&](int i) { return std::bit_cast<std::uint32_t>(a.v[i]); });
  }
  static F from_bits(const I& a) {
    return each<F>([&](int i) { return std::bit_cast<float>(a.v[i]); });
  }
  static F to_float(const I& a) {
    return each<F>([&](int i) { return static_cast<float>(static_cast<std::int32_t>(a.v[i])); });
  }
  static I iset1(std::int32_t x) {
    return each<I>([&](int) { return static_cast<std::uint32_t>(x); });
  }
  static I iadd(const I& a, const I& b) {
    return each<I>([&](int i) { return a.v[i] + b.v[i]; });
  }
  static I isub(const I& a, const I& b) {
    return each<I>([&](int i) { return a.v[i] - b.v[i]; });
  }
  static I iand(const I& a, const I& b) {
    return each<I>([&](int i) { return a.v[i] & b.v[i]; });
  }
  static I ior(const I& a, const I& b) {
    return each<I>([&](int i) { return a.v[i] | b.v[i]; });
  }
  template <int N>
  static I shl(const I& a) {
    return each<I>([&](int i) { return a.v[i] << N; });
  }
  /// Arithmetic: the sign is repeated.
  template <int N>
  static I sar(const I& a) {
    return each<I>([&](int i) { return static_cast<std::uint32_t>(static_cast<std::int32_t>(a.v[i]) >> N); });
  }

  // Products of bytes. A lane of I is four bytes then, lowest first.

  static I load_words(const std::int8_t* p) {
    I out;
    std::memcpy(out.v, p, sizeof(out.v));
    return out;
  }
  static void store_words(std::int8_t* p, const I& a) { std::memcpy(p, a.v, sizeof(a.v)); }
  /// Sixteen signed bytes.
  static I load_bytes(const std::int8_t* p) {
    return each<I>([&](int i) { return static_cast<std::int32_t>(p[i]); });
  }
  /// Lanes of -128 to 127 as bytes.
  static void store_bytes(std::int8_t* p, const I& a) {
    for (int i = 0; i < 16; ++i) p[i] = static_cast<std::int8_t>(a.v[i]);
  }
  /// What `weight_bytes` adds to signed bytes for `dot_bytes`; its results are then too large by this, times the sum of
  /// x.
  static constexpr float kBytesOffset = 0.0F;
  static I weight_bytes(const I& w) { return w; }
  /// acc + the four products of a lane; no byte of x is -128.
  static I dot_bytes(const I& acc, const I& w, const I& x) {
    return each<I>([&](int i) {
      std::int32_t sum = 0;
      for (int b = 0; b < 32; b += 8) {
        sum += static_cast<std::int8_t>(w.v[i] >> b) * static_cast<std::int8_t>(x.v[i] >> b);
      }
      return acc.v[i] + static_cast<std::uint32_t>(sum);
    });
  }
  /// The same for w of 0 to 15. Between zero and `sum_nibbles`, which gives the sums in 32 bits, at most eight times.
  static I dot_nibbles(const I& acc, const I& w, const I& x) { return dot_bytes(acc, w, x); }
  static I sum_nibbles(const I& acc) { return acc; }

  static float reduce_add(const F& a) {
    float t[16];
    std::memcpy(t, a.v, sizeof(t));
    for (int width = 8; width > 0; width /= 2) {
      for (int i = 0; i < width; ++i) t[i] = t[i] + t[i + width];
    }
    return t[0];
  }
  /// Four of them: out[0] of a to out[3] of d.
  static void reduce_add4(const F& a, const F& b, const F& c, const F& d, float* out) {
    out[0] = reduce_add(a);
    out[1] = reduce_add(b);
    out[2] = reduce_add(c);
    out[3] = reduce_add(d);
  }
  static float reduce_max(const F& a) {
    float t[16];
    std::memcpy(t, a.v, sizeof(t));
    for (int width = 8; width > 0; width /= 2) {
      for (int i = 0; i < width; ++i) t[i] = t[i] > t[i + width] ? t[i] : t[i + width];
    }
    return t[0];
  }

  static F load_bf16(const std::uint16_t* p) {
    return each<F>([&](int i) { return bfloat16_to_float(p[i]); });
  }
  static void store_bf16(std::uint16_t* p, const F& a) {
    for (int i = 0; i < 16; ++i) p[i] = float_to_bfloat16(a.v[i]);
  }
  static F round_bf16(const F& a) {
    return each<F>([&](int i) { return bfloat16_to_float(float_to_bfloat16(a.v[i])); });
  }
  static F load_f16(const std::uint16_t* p) {
    return each<F>([&](int i) { return float16_to_float(p[i]); });
  }
  static void store_f16(std::uint16_t* p, const F& a) {
    for (int i = 0; i < 16; ++i) p[i] = float_to_float16(a.v[i]);
  }
  static F round_f16(const F& a) {
    return each<F>([&](int i) { return float16_to_float(float_to_float16(a.v[i])); });
  }
};

}  // namespace
}  // namespace krait::cpu
