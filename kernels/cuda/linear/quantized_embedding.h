#pragma once

#include <cstdint>

#include "kernels/cuda/linear/weight_view.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// out[t] = multiplier * row ids[t] of a quantised weight. A thread an octet: 4 or 8 bytes read for 32 written.
struct QuantizedEmbedding {
  WeightShape shape{};
  WeightView table{};
  const std::int32_t* ids = nullptr;
  float multiplier = 1.0F;
  Rows out{};
  int tokens = 0;
};
void quantized_embedding(const QuantizedEmbedding& args, Stream stream);

}  // namespace krait::cuda
