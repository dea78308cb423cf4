#pragma once

#include "kernels/cpu/kernel_args.h"

namespace krait::cpu {
namespace {

inline Index smaller(Index a, Index b) { return a < b ? a : b; }
inline Index larger(Index a, Index b) { return a > b ? a : b; }
inline Index round_up(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }
/// Lanes of a vector that starts at `i` in an array of `n`.
inline int lanes_left(Index i, Index n) { return static_cast<int>(smaller(kLanes, n - i)); }

/// How elements of one type are read, written and rounded, sixteen at a time. `Element` is what memory holds.
template <typename V, DType kType>
struct Stored;

template <typename V>
struct Stored<V, DType::kFloat32> {
  static constexpr DType kDType = DType::kFloat32;
  using Element = float;
  static typename V::F load(const float* p, int n) { return n == kLanes ? V::load(p) : V::load_n(p, n); }
  static void store(float* p, typename V::F a, int n) {
    if (n == kLanes) {
      V::store(p, a);
    } else {
      V::store_n(p, a, n);
    }
  }
  static typename V::F round(typename V::F a) { return a; }
};

template <typename V>
struct Stored<V, DType::kBFloat16> {
  static constexpr DType kDType = DType::kBFloat16;
  using Element = std::uint16_t;
  static typename V::F load(const std::uint16_t* p, int n) {
    if (n == kLanes) return V::load_bf16(p);
    std::uint16_t part[kLanes] = {};
    for (int i = 0; i < n; ++i) part[i] = p[i];
    return V::load_bf16(part);
  }
  static void store(std::uint16_t* p, typename V::F a, int n) {
    if (n == kLanes) return V::store_bf16(p, a);
    std::uint16_t part[kLanes];
    V::store_bf16(part, a);
    for (int i = 0; i < n; ++i) p[i] = part[i];
  }
  static typename V::F round(typename V::F a) { return V::round_bf16(a); }
};

template <typename V>
struct Stored<V, DType::kFloat16> {
  static constexpr DType kDType = DType::kFloat16;
  using Element = std::uint16_t;
  static typename V::F load(const std::uint16_t* p, int n) {
    if (n == kLanes) return V::load_f16(p);
    std::uint16_t part[kLanes] = {};
    for (int i = 0; i < n; ++i) part[i] = p[i];
    return V::load_f16(part);
  }
  static void store(std::uint16_t* p, typename V::F a, int n) {
    if (n == kLanes) return V::store_f16(p, a);
    std::uint16_t part[kLanes];
    V::store_f16(part, a);
    for (int i = 0; i < n; ++i) p[i] = part[i];
  }
  static typename V::F round(typename V::F a) { return V::round_f16(a); }
};

/// Calls fn with the Stored of a run-time dtype. The operations have checked that it is one of the three.
template <typename V, typename Fn>
void with_stored(DType dtype, Fn fn) {
  if (dtype == DType::kBFloat16) {
    fn(Stored<V, DType::kBFloat16>{});
  } else if (dtype == DType::kFloat16) {
    fn(Stored<V, DType::kFloat16>{});
  } else {
    fn(Stored<V, DType::kFloat32>{});
  }
}

template <typename V>
typename V::F load(const float* p, int n) {
  return Stored<V, DType::kFloat32>::load(p, n);
}
template <typename V>
void store(float* p, typename V::F a, int n) {
  Stored<V, DType::kFloat32>::store(p, a, n);
}

}  // namespace
}  // namespace krait::cpu
