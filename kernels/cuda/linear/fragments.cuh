#pragma once

#include "kernels/cuda/linear/octets.cuh"

/// Operands of matrix products straight from rows in memory. Inputs have no order in a sum: what the instruction calls
/// inputs 2t, 2t + 1, 2t + 8 and 2t + 9 are half of octet t of a block of 32, of the weights (A, 16 outputs) as of the
/// rows (B, 8 of them), so that every load is 16 bytes of one row.
namespace krait::cuda {

constexpr int kTileOutputs = 16;  ///< rows of A: outputs g and g + 8 are lane 4g + t's; of gate and up, g of either

/// 16 bytes of a lane's step: the octets t of its blocks.
template <WeightForm Form>
struct Step {
  std::uint32_t words[Form == WeightForm::kBFloat16 ? 8 : 4];
};

template <WeightForm Form>
__device__ __forceinline__ Step<Form> load_step(const WeightRow& row, int step, int t, int columns) {
  Step<Form> to;
  if constexpr (Form == WeightForm::kBFloat16) {
    UNROLL for (int b = 0; b < 2; ++b) {
      const int first = (step * 2 + b) * kScaleBlock + t * kOctet;
      std::uint32_t pairs[4];
      load_octet(reinterpret_cast<const bfloat16*>(row.values) + first, columns - first,
                 columns % kOctet == 0 && first < columns, pairs);
      UNROLL for (int i = 0; i < 4; ++i) to.words[4 * b + i] = pairs[i];
    }
  } else {
    const uint4 all = *reinterpret_cast<const uint4*>(row.values + step * 64 + t * 16);
    to.words[0] = all.x, to.words[1] = all.y, to.words[2] = all.z, to.words[3] = all.w;
  }
  return to;
}

/// A lane's octet of block `b` of a step.
template <WeightForm Form>
__device__ __forceinline__ void step_pairs(const Step<Form>& step, int b, std::uint32_t offset,
                                           std::uint32_t (&pairs)[4]) {
  if constexpr (Form == WeightForm::kBFloat16) {
    UNROLL for (int i = 0; i < 4; ++i) pairs[i] = step.words[4 * b + i];
  } else if constexpr (Form == WeightForm::kInt8) {
    int8_pairs(step.words[2 * b], step.words[2 * b + 1], pairs);
  } else {
    int4_pairs(step.words[b], offset, pairs);
  }
}

/// sums += the lane's part of a matrix product over 32 inputs: two instructions, as an octet is four pairs.
__device__ __forceinline__ void multiply_block(float (&sums)[4], const std::uint32_t (&low)[4],
                                               const std::uint32_t (&high)[4], const std::uint32_t (&x)[4]) {
  UNROLL for (int half = 0; half < 2; ++half) {
    const std::uint32_t a[4] = {low[2 * half], high[2 * half], low[2 * half + 1], high[2 * half + 1]};
    const std::uint32_t b[2] = {x[2 * half], x[2 * half + 1]};
    ptx::mma_m16n8k16(sums, a, b);
  }
}

/// The same of weights with a scale. Sums of integers come first: a group's scale is applied to them in float32.
template <WeightForm Form>
__device__ __forceinline__ void add_block(float (&sums)[4], const std::uint32_t (&low)[4],
                                          const std::uint32_t (&high)[4], const std::uint32_t (&x)[4], float low_scale,
                                          float high_scale) {
  if constexpr (is_quantized(Form)) {
    float part[4] = {0.0F, 0.0F, 0.0F, 0.0F};
    multiply_block(part, low, high, x);
    sums[0] += low_scale * part[0];
    sums[1] += low_scale * part[1];
    sums[2] += high_scale * part[2];
    sums[3] += high_scale * part[3];
  } else {
    multiply_block(sums, low, high, x);
  }
}

}  // namespace krait::cuda
