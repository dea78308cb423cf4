#pragma once

#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"
#include "kernels/dtype.h"
#include "kernels/operations/activation.h"

/// Operations on each element alone (kernels/operations/elementwise_args.h) on the device: a thread an element, bound
/// by memory.
namespace krait::cuda {

struct Gate {
  ConstRows x{};
  ConstRows gate{};
  int gate_width = 1;
  Activation activation = Activation::kSigmoid;
  float scale = 1.0F;
  bool accumulate = false;
  Rows out{};
  int rows = 0;
  int columns = 0;
};
void gate(const Gate& args, Stream stream);

struct Term {
  ConstRows x{};
  float scale = 1.0F;
  const float* weight = nullptr;  ///< null: ones
  const float* bias = nullptr;    ///< null: zeros
};
struct ScaledAdd {
  Term first{};
  Term second{};  ///< x null: none
  Rows out{};
  int rows = 0;
  int columns = 0;
};
void scaled_add(const ScaledAdd& args, Stream stream);

struct Activate {
  ConstRows x{};
  Activation activation = Activation::kNone;
  float input_scale = 1.0F;
  float output_scale = 1.0F;
  Rows out{};
  int rows = 0;
  int columns = 0;
};
void activate(const Activate& args, Stream stream);

/// out[i] = x[indices[i]], whole rows.
struct GatherRows {
  ConstRows x{};
  const std::int32_t* indices = nullptr;
  Rows out{};
  int rows = 0;
  int columns = 0;
};
void gather_rows(const GatherRows& args, Stream stream);

/// out[i] = multiplier * table[ids[i]]; the table is float32, bfloat16 or float16.
struct Embedding {
  const void* table = nullptr;
  DType dtype = DType::kFloat32;
  std::int64_t stride = 0;
  const std::int32_t* ids = nullptr;
  float multiplier = 1.0F;
  Rows out{};
  int tokens = 0;
  int hidden = 0;
};
void embedding(const Embedding& args, Stream stream);

/// to [rows, columns] (contiguous, bfloat16) = x.
struct RoundRows {
  ConstRows x{};
  void* to = nullptr;
  int rows = 0;
  int columns = 0;
};
void round_to_bfloat16(const RoundRows& args, Stream stream);

}  // namespace krait::cuda
