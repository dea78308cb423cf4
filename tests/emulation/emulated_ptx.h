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

inline float upper(std::uint32_t word) { return std::bit_cast<float>(word & 0xffff0000U); }
inline float lower(std::uint32_t word) { return std::bit_cast<float>(word << 16); }

/// Fragments as PTX lays them out for m16n8k16: lane 4g + t holds rows g and g + 8 of A, column g of B, and columns 2t
/// and 2t + 1 (+ 8 along k) of each.
inline void matrix_product(const emulation::WarpSlots& slots, std::uint32_t /*mask*/) {
  float a[16][16];
  float b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto in = slots.in<MatrixOperands>(lane);
    const int g = lane / 4;
    const int t = lane % 4;
    for (int r = 0; r < 4; ++r) {
      float* row = &a[g + 8 * (r & 1)][2 * t + 8 * (r >> 1)];
      row[0] = lower(in.a[r]);
      row[1] = upper(in.a[r]);
    }
    for (int r = 0; r < 2; ++r) {
      b[2 * t + 8 * r][g] = lower(in.b[r]);
      b[2 * t + 1 + 8 * r][g] = upper(in.b[r]);
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

}  // namespace emulated

inline void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], KRAIT_HERE) {
  emulated::MatrixOperands in{};
  std::copy_n(a, 4, in.a);
  std::copy_n(b, 2, in.b);
  std::copy_n(d, 4, in.c);
  const auto out = emulation::collective<emulated::MatrixResult>(emulation::Collective::kMatrixProduct, ~0U, in,
                                                                 emulated::matrix_product, place);
  std::copy_n(out.d, 4, d);
}

inline void cp_async16(void* to, const void* from, bool copied) {
  emulation::begin_copy(to, from, copied ? 16 : 0, 16);
}
inline void cp_async_commit() { emulation::commit_copies(); }
template <int Pending>
void cp_async_wait() {
  emulation::wait_copies(Pending);
}

inline std::uint32_t pack_bfloat16(float low, float high) {
  return __float2bfloat16_rn(low).bits | static_cast<std::uint32_t>(__float2bfloat16_rn(high).bits) << 16;
}
inline std::uint32_t subtract_bfloat16x2(std::uint32_t a, std::uint32_t b) {
  return pack_bfloat16(emulated::lower(a) - emulated::lower(b), emulated::upper(a) - emulated::upper(b));
}

inline float exp2_fast(float x) { return std::exp2(x); }

}  // namespace krait::cuda::ptx
