#pragma once

#include <algorithm>

#include "tests/emulation/emulated_intrinsics.h"

/// The instructions that kernels reach through `ptx::`, over the emulated grid.
namespace krait::cuda::ptx {

namespace emulated {

struct MatrixOperands {
  std::uint32_t a[4];
  std::uint32_t b[2];
  float c[4];
};
struct MatrixResult {
  float d[4];
};

/// The halves of a word as floats.
struct BFloat16Pair {
  static float upper(std::uint32_t word) { return std::bit_cast<float>(word & 0xffff0000U); }
  static float lower(std::uint32_t word) { return std::bit_cast<float>(word << 16); }
};
struct Float16Pair {
  static float upper(std::uint32_t word) { return emulation::float16_value(static_cast<std::uint16_t>(word >> 16)); }
  static float lower(std::uint32_t word) { return emulation::float16_value(static_cast<std::uint16_t>(word)); }
};

/// Fragments as PTX lays them out for m16n8k16: lane 4g + t holds rows g and g + 8 of A, column g of B, and columns 2t
/// and 2t + 1 (+ 8 along k) of each.
template <typename Pair>
void matrix_product(const emulation::WarpSlots& slots, std::uint32_t /*mask*/) {
  float a[16][16];
  float b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto in = slots.in<MatrixOperands>(lane);
    const int g = lane / 4;
    const int t = lane % 4;
    for (int r = 0; r < 4; ++r) {
      float* row = &a[g + 8 * (r & 1)][2 * t + 8 * (r >> 1)];
      row[0] = Pair::lower(in.a[r]);
      row[1] = Pair::upper(in.a[r]);
    }
    for (int r = 0; r < 2; ++r) {
      b[2 * t + 8 * r][g] = Pair::lower(in.b[r]);
      b[2 * t + 1 + 8 * r][g] = Pair::upper(in.b[r]);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const auto in = slots.in<MatrixOperands>(lane);
    MatrixResult out{};
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + 8 * (i >> 1);
      const int column = 2 * (lane % 4) + (i & 1);
      float sum = 0.0F;
      for (int k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
      out.d[i] = in.c[i] + sum;
    }
    slots.out(lane, out);
  }
}

struct MatrixRow {
  std::uint16_t elements[8];
};
struct MatrixWords {
  std::uint32_t word[4];
};

/// ldmatrix: lane 8m + r brought row r of matrix m.
template <bool kTransposed>
void matrix_load(const emulation::WarpSlots& slots, std::uint32_t /*mask*/) {
  for (int lane = 0; lane < 32; ++lane) {
    MatrixWords out{};
    for (int m = 0; m < 4; ++m) {
      const auto element = [&](int i) -> std::uint32_t {
        const int row = kTransposed ? 2 * (lane % 4) + i : lane / 4;
        const int column = kTransposed ? lane / 4 : 2 * (lane % 4) + i;
        return slots.in<MatrixRow>(8 * m + row).elements[column];
      };
      out.word[m] = element(0) | element(1) << 16;
    }
    slots.out(lane, out);
  }
}

template <typename Pair>
void multiply(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], const emulation::Place& place) {
  MatrixOperands in{};
  std::copy_n(a, 4, in.a);
  std::copy_n(b, 2, in.b);
  std::copy_n(d, 4, in.c);
  const auto out =
      emulation::collective<MatrixResult>(emulation::Collective::kMatrixProduct, ~0U, in, matrix_product<Pair>, place);
  std::copy_n(out.d, 4, d);
}

template <bool kTransposed>
void load(std::uint32_t (&to)[4], const void* row, const emulation::Place& place) {
  // As a vector of its alignment, and by the lane itself: the sanitizers see whose access it is.
  const uint4 words = *static_cast<const uint4*>(row);
  MatrixRow in{};
  std::memcpy(in.elements, &words, sizeof(in.elements));
  const auto out =
      emulation::collective<MatrixWords>(emulation::Collective::kMatrixLoad, ~0U, in, matrix_load<kTransposed>, place);
  std::copy_n(out.word, 4, to);
}

}  // namespace emulated

inline void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], KRAIT_HERE) {
  emulated::multiply<emulated::BFloat16Pair>(d, a, b, place);
}
inline void mma_m16n8k16_float16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], KRAIT_HERE) {
  emulated::multiply<emulated::Float16Pair>(d, a, b, place);
}
inline void ldmatrix_x4(std::uint32_t (&to)[4], const void* row, KRAIT_HERE) { emulated::load<false>(to, row, place); }
inline void ldmatrix_x4_transposed(std::uint32_t (&to)[4], const void* row, KRAIT_HERE) {
  emulated::load<true>(to, row, place);
}

inline std::uint32_t pack_bfloat16(float low, float high) {
  return __float2bfloat16_rn(low).bits | static_cast<std::uint32_t>(__float2bfloat16_rn(high).bits) << 16;
}
inline std::uint32_t pack_float16(float low, float high) {
  return __float2half_rn(low).bits | static_cast<std::uint32_t>(__float2half_rn(high).bits) << 16;
}

inline void cp_async16(void* to, const void* from, bool copied) {
  emulation::begin_copy(to, from, copied ? 16 : 0, 16);
}
inline void cp_async_commit() { emulation::commit_copies(); }
template <int Pending>
void cp_async_wait() {
  emulation::wait_copies(Pending);
}

inline std::uint32_t subtract_bfloat16x2(std::uint32_t a, std::uint32_t b) {
  using Pair = emulated::BFloat16Pair;
  return pack_bfloat16(Pair::lower(a) - Pair::lower(b), Pair::upper(a) - Pair::upper(b));
}

inline float exp2_fast(float x) { return std::exp2(x); }

}  // namespace krait::cuda::ptx
