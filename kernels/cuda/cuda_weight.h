#pragma once

#include "kernels/cuda/device.h"
#include "kernels/packed_weight.h"

namespace krait::cuda {

/// What the CUDA platform keeps behind a PackedWeight: rows of outputs, one after another, gate's before up's.
class CudaWeight final : public PackedWeight::Storage {
 public:
  Quantization quantization = Quantization::kNone;
  /// The type that input rows are rounded to: float32 or bfloat16. Unquantised values are kept in it.
  DType compute_dtype = DType::kFloat32;
  std::int64_t rows = 0;     ///< outputs; twice as many as the result has columns with `gate_up`
  std::int64_t columns = 0;  ///< inputs
  bool gate_up = false;
  Buffer values{};  ///< [rows, columns] of `compute_dtype`, or the integers of a quantised weight
  Buffer bias{};    ///< float32 [rows] or nothing

  [[nodiscard]] const float* bias_data() const { return static_cast<const float*>(bias.data.get()); }
  /// Columns of the result.
  [[nodiscard]] std::int64_t outputs() const { return gate_up ? rows / 2 : rows; }
};

/// Throws StartupError for a dtype, a group or a shard that cannot be packed.
PackedWeight pack_weight(const WeightSource& source, const PackScheme& scheme, const Shard& shard, Device& device,
                         Stream stream);

/// The storage of a weight that this platform packed.
const CudaWeight& cuda_weight(const PackedWeight& weight);

}  // namespace krait::cuda
