#pragma once

#include "kernels/cuda/device.h"
#include "kernels/cuda/linear/weight_view.h"
#include "kernels/packed_weight.h"

namespace krait::cuda {

class WeightUploader;

/// What the CUDA platform keeps behind a PackedWeight: rows of outputs, one after another, gate's before up's.
class CudaWeight final : public PackedWeight::Storage {
 public:
  /// The type that input rows are rounded to: float32 or bfloat16. Unquantised values are kept in it.
  DType compute_dtype = DType::kFloat32;
  WeightShape shape{};
  WeightView view{};  ///< into the buffers
  Buffer values{};
  Buffer scales{};
  Buffer units{};
  Buffer zeros{};
  Buffer bias{};

  /// Columns of the result.
  [[nodiscard]] int outputs() const { return shape.gate_up ? shape.rows / 2 : shape.rows; }
  [[nodiscard]] bool quantized() const { return shape.form == WeightForm::kInt8 || shape.form == WeightForm::kInt4; }
};

/// Throws StartupError for a dtype, a group or a shard that cannot be packed.
PackedWeight pack_weight(const WeightSource& source, const PackScheme& scheme, const Shard& shard,
                         WeightUploader& uploader);

/// The storage of a weight that this platform packed.
const CudaWeight& cuda_weight(const PackedWeight& weight);

}  // namespace krait::cuda
