#pragma once

#include <cstdint>

#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"
#include "kernels/dtype.h"

namespace krait::cuda {

/// to = from, `count` elements: float32, bfloat16 or float16 to float32 or (rounded to nearest) bfloat16. A thread an
/// element: 4 to 8 bytes, bound by memory, and so far faster than the bus that brings them.
struct Convert {
  const void* from = nullptr;
  DType from_dtype = DType::kFloat32;
  void* to = nullptr;
  DType to_dtype = DType::kFloat32;
  std::int64_t count = 0;
};
void convert(const Convert& args, Stream stream);

/// to [rows, stride] in bfloat16 = x [rows, columns], with zeros in the columns past them. A thread an element.
struct RoundPadded {
  ConstRows x{};
  void* to = nullptr;
  std::int64_t stride = 0;
  int rows = 0;
  int columns = 0;
};
void round_padded(const RoundPadded& args, Stream stream);

}  // namespace krait::cuda
