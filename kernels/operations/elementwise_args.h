#pragma once

#include <cstdint>
#include <span>

#include "kernels/operations/activation.h"
#include "kernels/packed_weight.h"
#include "kernels/tensor.h"

namespace krait {

/// out[t] = multiplier * table[ids[t]]. An id outside the table is a bug: the edge has checked it. The table is a plain
/// one, or a quantised weight (that of the output layer, where the two are tied), whose values are those that products
/// see.
struct EmbeddingArgs {
  TensorView table{};  ///< [vocab, hidden], float32, bfloat16 or float16; undefined with `weight`
  std::span<const std::int32_t> ids{};
  float multiplier = 1.0F;
  TensorView out{};  ///< [T, hidden]
  const PackedWeight* weight = nullptr;
};

/// out[t, c] = scale * x[t, c] * activation(gate[t, c / gate_width]); added to `out` with `accumulate`. `out` may be
/// `x`.
struct GateArgs {
  TensorView x{};      ///< [T, columns]
  TensorView gate{};   ///< [T, columns / gate_width]
  int gate_width = 1;  ///< columns that share a gate: 1, a head's width, or all
  Activation activation = Activation::kSigmoid;
  float scale = 1.0F;
  bool accumulate = false;
  TensorView out{};  ///< [T, columns]
};

/// One term of `scaled_add`: scale * weight * (x + bias), the vectors over columns.
struct ScaledTerm {
  TensorView x{};  ///< [T, columns]
  float scale = 1.0F;
  TensorView weight{};  ///< [columns] float32 or undefined: ones
  TensorView bias{};    ///< [columns] float32 or undefined: zeros
};

/// out = first + second. `out` may be the x of either.
struct ScaledAddArgs {
  ScaledTerm first{};
  ScaledTerm second{};  ///< x undefined: no second term
  TensorView out{};     ///< [T, columns]
};

/// out = output_scale * activation(input_scale * x). A soft cap is tanh with 1 / cap and cap. `out` may be `x`.
struct ActivateArgs {
  TensorView x{};
  Activation activation = Activation::kNone;
  float input_scale = 1.0F;
  float output_scale = 1.0F;
  TensorView out{};
};

/// Rows `indices` of x, in order.
struct GatherRowsArgs {
  TensorView x{};
  std::span<const std::int32_t> indices{};
  TensorView out{};
};

}  // namespace krait
