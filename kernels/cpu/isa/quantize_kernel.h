#pragma once

#include "kernels/cpu/isa/gemm_int8_kernel.h"
#include "kernels/cpu/isa/quantized_panel.h"

/// From float32 weights to packed panels, a lane a column.
namespace krait::cpu {
namespace {

/// `range[0]` ≤ `a` ≤ `range[1]`; a NaN gives the lower end.
template <typename V>
typename V::F clamp(typename V::F a, float low, float high) {
  return V::min(V::max(a, V::set1(low)), V::set1(high));
}

/// A power of two near the largest element of each column, by which float16 holds its groups' scales well; NaN for a
/// column that has a NaN or an infinity, whose every output is NaN then.
template <typename V>
typename V::F column_units(const float* columns, Index depth) {
  auto largest = V::zero();
  auto finite = V::zero();
  for (Index k = 0; k < depth; ++k) {
    const auto w = V::load(columns + k * kLanes);
    finite = V::fma(w, V::zero(), finite);
    largest = V::max(V::abs(w), largest);
  }
  const auto power = V::from_bits(V::iand(V::bits(largest), V::iset1(0x7f800000)));
  // Scales are at most 2 power / 6, so at most 2^14 units; powers below float32's range become its least normal one.
  const auto unit = V::max(V::mul(power, V::set1(0x1p-15F)), V::set1(0x1p-126F));
  return V::select(V::is_nan(finite), finite, unit);
}

template <typename V>
typename V::F largest_of(const float* columns, Index count) {
  auto largest = V::zero();
  for (Index k = 0; k < count; ++k) largest = V::max(V::abs(V::load(columns + k * kLanes)), largest);
  return largest;
}

/// Scales of a group for q in [-8, 7] by least squares: for each of some ranges the weights are rounded, and the scale
/// that fits the rounded weights best is (sum w q) / (sum q^2), which takes (sum w q)^2 / (sum q^2) off the squared
/// error.
template <typename V>
typename V::F best_int4_scale(const float* columns, Index count) {
  auto extreme = V::zero();  // the element of the largest magnitude, with its sign
  for (Index k = 0; k < count; ++k) {
    const auto w = V::load(columns + k * kLanes);
    extreme = V::select(V::lt(V::abs(extreme), V::abs(w)), w, extreme);
  }
  const auto some = V::lt(V::zero(), V::abs(extreme));
  auto best = V::zero();
  auto best_gain = V::zero();
  for (int i = 0; i <= 16; ++i) {
    // The extreme element becomes -6 … -9.2 (and is cut off at -8).
    const auto levels = V::set1(-6.0F - 0.2F * static_cast<float>(i));
    const auto factor = V::select(some, V::div(levels, extreme), V::zero());
    auto product = V::zero();
    auto square = V::zero();
    for (Index k = 0; k < count; ++k) {
      const auto w = V::load(columns + k * kLanes);
      const auto q = V::to_float(nearest<V>(clamp<V>(V::mul(w, factor), -8.0F, 7.0F)));
      product = V::fma(w, q, product);
      square = V::fma(q, q, square);
    }
    const auto scale = V::div(product, square);
    const auto gain = V::mul(product, scale);
    const auto better = V::lt(best_gain, gain);
    best = V::select(better, scale, best);
    best_gain = V::select(better, gain, best_gain);
  }
  return best;
}

/// The integers nearest to w / scale; 0 where the scale is 0.
template <typename V>
typename V::I quantize(const float* w, typename V::F scale, float low, float high) {
  const auto zero = V::lt(V::abs(scale), V::set1(0x1p-149F));
  return nearest<V>(V::select(zero, V::zero(), clamp<V>(V::div(V::load(w), scale), low, high)));
}

/// Four of them as the bytes of a word; `add` moves them above 0.
template <typename V>
typename V::I quantize_word(const float* w, typename V::F scale, float low, float high, int add) {
  auto word = V::iset1(0);
  const auto mask = V::iset1(255);
  const auto byte = [&](int i) {
    return V::iand(V::iadd(quantize<V>(w + i * kLanes, scale, low, high), V::iset1(add)), mask);
  };
  word = V::ior(byte(0), V::template shl<8>(byte(1)));
  return V::ior(word, V::ior(V::template shl<16>(byte(2)), V::template shl<24>(byte(3))));
}

template <typename V>
void quantize_panel(const float* columns, Index depth, WeightLayout layout, const QuantizedForm& form,
                    std::byte* panel) {
  const bool int4 = layout == WeightLayout::kInt4;
  const auto unit = column_units<V>(columns, depth);
  V::store(reinterpret_cast<float*>(panel), unit);
  auto* scales = reinterpret_cast<std::uint16_t*>(panel + kLanes * sizeof(float));
  auto* data = reinterpret_cast<std::int8_t*>(panel + form.data);
  for (Index k = 0; k < depth; k += form.group, scales += kLanes) {
    const float* group = columns + k * kLanes;
    const Index count = smaller(form.group, depth - k);
    const auto wanted = int4 ? best_int4_scale<V>(group, count) : V::div(largest_of<V>(group, count), V::set1(127.0F));
    V::store_f16(scales, V::div(wanted, unit));
    const auto scale = V::mul(V::load_f16(scales), unit);
    for (Index i = 0; i < count; i += int4 ? 8 : 4, data += 4 * kLanes) {
      const float* w = group + i * kLanes;
      if (int4) {
        const auto low = quantize_word<V>(w, scale, -8.0F, 7.0F, 8);
        const auto high = quantize_word<V>(w + 4 * kLanes, scale, -8.0F, 7.0F, 8);
        V::store_words(data, V::ior(low, V::template shl<4>(high)));
      } else {
        V::store_words(data, quantize_word<V>(w, scale, -127.0F, 127.0F, 0));
      }
    }
  }
}

}  // namespace
}  // namespace krait::cpu
