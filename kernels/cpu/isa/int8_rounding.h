#pragma once

#include "kernels/cpu/isa/convert.h"

/// Rows rounded to int8, with one scale a row: x is about q * scale, |q| <= 127.
namespace krait::cpu {
namespace {

struct Int8Rounding {
  float factor = 0.0F;  ///< q = round(x * factor); 0: all of them are 0
  float scale = 0.0F;   ///< NaN where an element was not finite
};

/// factor = 127 / max |x|, scale = max |x| / 127. A row whose largest element is below 1e-30 counts as zeros.
template <typename V>
Int8Rounding int8_rounding(const float* x, Index n) {
  auto largest = V::zero();
  auto finite = V::zero();  // NaN once an element was not
  for (Index i = 0; i < n; i += kLanes) {
    const auto value = load<V>(x + i, lanes_left(i, n));
    finite = V::fma(value, V::zero(), finite);
    largest = V::max(V::abs(value), largest);
  }
  if (V::any(V::is_nan(finite))) return {.factor = 0.0F, .scale = __builtin_nanf("")};
  const float max = V::reduce_max(largest);
  if (max < 1e-30F) return {};
  return {.factor = 127.0F / max, .scale = max / 127.0F};
}

/// The nearest integers (the even one of two) of |a| < 2^22.
template <typename V>
typename V::I nearest(typename V::F a) {
  const auto magic = V::set1(12582912.0F);
  return V::isub(V::bits(V::add(a, magic)), V::bits(magic));
}

/// q of up to sixteen elements, the rest 0.
template <typename V>
typename V::I round_int8(const float* x, int lanes, const Int8Rounding& rounding) {
  if (lanes <= 0 || rounding.factor == 0.0F) return V::iset1(0);
  return nearest<V>(V::mul(load<V>(x, lanes), V::set1(rounding.factor)));
}

}  // namespace
}  // namespace krait::cpu
