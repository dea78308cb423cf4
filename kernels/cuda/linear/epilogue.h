#pragma once

#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"
#include "kernels/operations/activation.h"

namespace krait::cuda {

/// What becomes of a product's sums (Epilogue): y = scale * activation(sums + bias), or gate and up of it.
struct EpilogueForm {
  bool gated = false;
  Activation activation = Activation::kNone;
  float gate_scale = 1.0F;
  float limit = 0.0F;
  float scale = 1.0F;
  bool accumulate = false;
};

/// The epilogue alone, after a product of the library. A thread a result: 4 to 16 bytes each way, bound by memory.
struct ProductEpilogue {
  ConstRows sums{};             ///< [rows, columns], or [rows, gate's columns | up's columns]
  const float* bias = nullptr;  ///< as wide as the sums
  EpilogueForm form{};
  Rows y{};
  int rows = 0;
  int columns = 0;  ///< of y
};
void product_epilogue(const ProductEpilogue& args, Stream stream);

}  // namespace krait::cuda
