#pragma once

#include <map>
#include <span>
#include <vector>

#include "kernels/cuda/device.h"
#include "kernels/cuda/linear/weight_view.h"
#include "kernels/cuda/step_memory.h"
#include "kernels/packed_weight.h"

namespace krait::cuda {

/// The experts of one layer as the kernels see them.
struct ExpertTable {
  DType compute_dtype = DType::kFloat32;
  WeightShape shape{};
  const WeightView* experts = nullptr;  ///< on the device
};

/// Arrays of the experts' pointers on the device, made when a layer is first seen and kept: a step of hundreds of
/// experts would otherwise copy them every time. Keeps the weights alive.
class ExpertTables {
 public:
  ExpertTables(Device& device, StepMemory& memory, Stream stream) : device_(device), memory_(memory), stream_(stream) {}

  /// The weights must be of one form and shape.
  const ExpertTable& table(std::span<const PackedWeight> weights);

 private:
  struct Entry {
    std::vector<PackedWeight> weights;
    Buffer memory;
    ExpertTable table;
  };
  Entry make(std::span<const PackedWeight> weights);

  Device& device_;
  StepMemory& memory_;
  Stream stream_;
  std::map<const void*, Entry> entries_;  ///< by the first expert's storage
};

}  // namespace krait::cuda
