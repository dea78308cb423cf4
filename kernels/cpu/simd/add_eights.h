#pragma once

#include <immintrin.h>

namespace krait::cpu {
namespace {

/// [low half + high half of a | the same of b]
inline __m256 halves_added(__m256 a, __m256 b) {
  return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}

/// out[0] to out[3]: the sums of the eight lanes of a to d, in the order of `VecPortable::reduce_add`. They are
/// transposed on the way, so that they share their additions.
inline void add_eights(__m256 a, __m256 b, __m256 c, __m256 d, float* out) {
  const __m256 ac = halves_added(a, c);
  const __m256 bd = halves_added(b, d);
  // Lanes a02 b02 a13 b13 | c02 d02 c13 d13.
  const __m256 two = _mm256_add_ps(_mm256_unpacklo_ps(ac, bd), _mm256_unpackhi_ps(ac, bd));
  const __m128 low = _mm256_castps256_ps128(two);
  const __m128 high = _mm256_extractf128_ps(two, 1);
  _mm_storeu_ps(out, _mm_add_ps(_mm_movelh_ps(low, high), _mm_movehl_ps(high, low)));
}

}  // namespace
}  // namespace krait::cpu
