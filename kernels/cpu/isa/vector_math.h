#pragma once

namespace krait::cpu {
namespace {

/// Elementary functions on sixteen floats, within about 2 ulp, the same bits on every V. They are exact at the ends
/// (exp(-inf) = 0, exp(large) = inf) and hand NaNs on. Polynomials of exp and log: S. Moshier, Cephes, expf and logf;
/// the others are Chebyshev interpolants.
template <typename V>
struct Math {
  using F = typename V::F;
  using I = typename V::I;

  static F exp(F x) {
    // Beyond these the result is 0 or infinity. `max` gives its second operand for a NaN, which the last select puts
    // back.
    const F clamped = V::min(V::max(x, V::set1(-104.0F)), V::set1(89.0F));
    const F magic = V::set1(kRoundMagic);
    const F shifted = V::fma(clamped, V::set1(1.44269504088896341F), magic);
    const F n = V::neg(V::sub(shifted, magic));
    F r = V::fma(n, V::set1(0.693359375F), clamped);
    r = V::fma(n, V::set1(-2.12194440e-4F), r);
    F p = V::set1(1.9875691500e-4F);
    p = V::fma(p, r, V::set1(1.3981999507e-3F));
    p = V::fma(p, r, V::set1(8.3334519073e-3F));
    p = V::fma(p, r, V::set1(4.1665795894e-2F));
    p = V::fma(p, r, V::set1(1.6666665459e-1F));
    p = V::fma(p, r, V::set1(5.0000001201e-1F));
    p = V::add(V::fma(p, V::mul(r, r), r), V::set1(1.0F));
    // 2^n in two factors, so that subnormal results are rounded once.
    const I exponent = V::isub(V::bits(shifted), V::bits(magic));
    const I half = V::template sar<1>(exponent);
    const F result = V::mul(V::mul(p, power_of_two(half)), power_of_two(V::isub(exponent, half)));
    return V::select(V::is_nan(x), x, result);
  }

  /// 1 - exp(x) for x <= 0, without what the difference loses near 0: there it is the exponential's series.
  static F one_minus_exp(F x) {
    F p = V::set1(1.0F / 40320.0F);
    p = V::fma(p, x, V::set1(1.0F / 5040.0F));
    p = V::fma(p, x, V::set1(1.0F / 720.0F));
    p = V::fma(p, x, V::set1(1.0F / 120.0F));
    p = V::fma(p, x, V::set1(1.0F / 24.0F));
    p = V::fma(p, x, V::set1(1.0F / 6.0F));
    p = V::fma(p, x, V::set1(0.5F));
    p = V::neg(V::fma(V::mul(p, x), x, x));
    return V::select(V::lt(x, V::set1(-0.5F)), V::sub(V::set1(1.0F), exp(x)), p);
  }

  /// log(x) for normal x > 0.
  static F log_normal(F x) {
    const I raw = V::bits(x);
    const I mantissa = V::ior(V::iand(raw, V::iset1(0x7fffff)), V::iset1(0x3f800000));
    F m = V::from_bits(mantissa);
    F e = V::to_float(V::isub(V::template sar<23>(raw), V::iset1(127)));
    const auto above = V::lt(V::set1(1.41421356237309504880F), m);
    m = V::select(above, V::mul(m, V::set1(0.5F)), m);
    e = V::select(above, V::add(e, V::set1(1.0F)), e);
    const F f = V::sub(m, V::set1(1.0F));
    const F z = V::mul(f, f);
    F y = V::set1(7.0376836292e-2F);
    y = V::fma(y, f, V::set1(-1.1514610310e-1F));
    y = V::fma(y, f, V::set1(1.1676998740e-1F));
    y = V::fma(y, f, V::set1(-1.2420140846e-1F));
    y = V::fma(y, f, V::set1(1.4249322787e-1F));
    y = V::fma(y, f, V::set1(-1.6668057665e-1F));
    y = V::fma(y, f, V::set1(2.0000714765e-1F));
    y = V::fma(y, f, V::set1(-2.4999993993e-1F));
    y = V::fma(y, f, V::set1(3.3333331174e-1F));
    y = V::mul(V::mul(y, f), z);
    y = V::fma(e, V::set1(-2.12194440e-4F), y);
    y = V::fma(V::set1(-0.5F), z, y);
    return V::fma(e, V::set1(0.693359375F), V::add(f, y));
  }

  /// log(1 + x) for x >= 0. What 1 + x loses of x is added to first order.
  static F log1p(F x) {
    const F one = V::set1(1.0F);
    const F w = V::add(one, x);
    const F lost = V::sub(x, V::sub(w, one));
    const F result = V::add(log_normal(w), V::div(lost, w));
    return V::select(V::lt(x, V::set1(1e38F)), result, log_large(x));
  }

  static F softplus(F x) {
    const F positive = V::select(V::lt(x, V::zero()), V::zero(), x);
    return V::add(positive, log1p(exp(V::neg(V::abs(x)))));
  }

  static F sigmoid(F x) {
    const F one = V::set1(1.0F);
    return V::div(one, V::add(one, exp(V::neg(x))));
  }

  static F silu(F x) { return V::div(x, V::add(V::set1(1.0F), exp(V::neg(x)))); }

  /// Odd polynomial near zero, where 1 - exp would lose digits.
  static F tanh(F x) {
    const F one = V::set1(1.0F);
    const F z = V::mul(x, x);
    F p = V::set1(-6.0967142e-3F);
    p = V::fma(p, z, V::set1(2.0997179e-2F));
    p = V::fma(p, z, V::set1(-5.3850910e-2F));
    p = V::fma(p, z, V::set1(1.3332770e-1F));
    p = V::fma(p, z, V::set1(-3.3333329e-1F));
    const F near = V::fma(p, V::mul(z, x), x);
    const F e = exp(V::mul(V::set1(-2.0F), V::abs(x)));
    const F far = V::div(V::sub(one, e), V::add(one, e));
    const F signed_far = V::select(V::lt(x, V::zero()), V::neg(far), far);
    return V::select(V::lt(V::abs(x), V::set1(0.625F)), near, signed_far);
  }

  /// The error function: an odd polynomial near zero, the tail of the normal distribution elsewhere.
  static F erf(F x) {
    const F z = V::mul(x, x);
    F p = V::set1(-6.7564796e-4F);
    p = V::fma(p, z, V::set1(5.1153321e-3F));
    p = V::fma(p, z, V::set1(-2.6835115e-2F));
    p = V::fma(p, z, V::set1(1.1283387e-1F));
    p = V::fma(p, z, V::set1(-3.7612619e-1F));
    p = V::fma(p, z, V::set1(1.1283792F));
    const F near = V::mul(p, x);
    const F tail = upper_tail(V::mul(V::set1(1.41421356237309504880F), V::abs(x)));
    const F far = V::fma(V::set1(-2.0F), tail, V::set1(1.0F));
    const F signed_far = V::select(V::lt(x, V::zero()), V::neg(far), far);
    const F result = V::select(V::lt(V::abs(x), V::set1(0.75F)), near, signed_far);
    return V::select(V::is_nan(x), x, result);
  }

  /// x times the normal distribution function of x; the left tail keeps its relative precision.
  static F gelu(F x) {
    const F tail = upper_tail(V::abs(x));
    return V::mul(x, V::select(V::lt(x, V::zero()), tail, V::sub(V::set1(1.0F), tail)));
  }

  /// (1 + tanh(u)) / 2 is sigmoid(2u), so this is x / (1 + exp(-2u)). What -2u is rounded off is put back to first
  /// order, because exp would magnify it.
  static F gelu_tanh(F x) {
    const F bounded = V::min(V::max(x, V::set1(-12.0F)), V::set1(12.0F));
    // 2 sqrt(2 / pi) and 0.044715 times that, as float32 and what that lacks.
    const F linear = V::set1(-1.5957691669464111F);
    const F cubic = V::set1(-7.135481387376785e-2F);
    const F square = V::mul(bounded, bounded);
    F lacks = V::fma(V::set1(-2.3988324e-9F), square, V::set1(4.534068e-8F));
    lacks = V::fma(cubic, V::fma(bounded, bounded, V::neg(square)), lacks);
    const F factor = V::fma(cubic, square, linear);
    const F factor_lost = V::add(V::fma(cubic, square, V::sub(linear, factor)), lacks);
    const F exponent = V::mul(bounded, factor);
    const F lost = V::fma(bounded, factor_lost, V::fma(bounded, factor, V::neg(exponent)));
    const F e = exp(exponent);
    const F corrected = V::select(V::lt(e, V::set1(1e38F)), V::fma(e, lost, e), e);
    return V::div(x, V::add(V::set1(1.0F), corrected));
  }

  static F relu2(F x) {
    const F positive = V::select(V::lt(x, V::zero()), V::zero(), x);
    return V::mul(positive, positive);
  }

 private:
  /// 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits.
  static constexpr float kRoundMagic = 12582912.0F;

  /// The probability that a normal variable is above x, for x >= 0: exp(-x^2 / 2) times a smooth factor, which is
  /// r P((x - 3) r) with r = 1 / (x + 3). P is the Chebyshev interpolant up to x = 15, where the result has become 0;
  /// its relative error is below 2e-9. A NaN gives some number.
  static F upper_tail(F x) {
    const F bounded = V::min(x, V::set1(15.0F));
    const F r = V::div(V::set1(1.0F), V::add(bounded, V::set1(3.0F)));
    const F w = V::mul(V::sub(bounded, V::set1(3.0F)), r);
    F p = V::set1(5.5491869e-5F);
    p = V::fma(p, w, V::set1(1.3332395e-4F));
    p = V::fma(p, w, V::set1(-2.4470932e-4F));
    p = V::fma(p, w, V::set1(-1.0344765e-3F));
    p = V::fma(p, w, V::set1(1.0241573e-3F));
    p = V::fma(p, w, V::set1(6.9699202e-3F));
    p = V::fma(p, w, V::set1(-1.0462289e-2F));
    p = V::fma(p, w, V::set1(-4.7262762e-2F));
    p = V::fma(p, w, V::set1(2.3001768e-1F));
    p = V::fma(p, w, V::set1(-5.0933199e-1F));
    p = V::fma(p, w, V::set1(7.2908369e-1F));
    // The square in two parts: exp would magnify what is rounded off it.
    const F square = V::mul(bounded, bounded);
    const F lost = V::fma(bounded, bounded, V::neg(square));
    const F e = exp(V::mul(V::set1(-0.5F), square));
    return V::mul(V::fma(e, V::mul(V::set1(-0.5F), lost), e), V::mul(p, r));
  }

  static F power_of_two(I n) { return V::from_bits(V::template shl<23>(V::iadd(n, V::iset1(127)))); }

  /// log of a value so large that adding 1 changes nothing; infinity and NaN stay.
  static F log_large(F x) {
    return V::select(V::lt(x, V::set1(__builtin_inff())), log_normal(V::min(x, V::set1(3.4e38F))), x);
  }
};

}  // namespace
}  // namespace krait::cpu
