#pragma once

#include <string>

#include "kernels/packed_weight.h"
#include "kernels/tensor.h"

namespace krait {

/// Weights as earlier loads of the same checkpoint on the same platform made them, by keys that say everything that
/// the loader knows of how they were made. A WeightLoader asks here before it reads the checkpoint, and gives what it
/// had to make itself.
class WeightStore {
 public:
  virtual ~WeightStore() = default;
  /// Undefined when there is none.
  virtual PackedWeight find_weight(const std::string& key) = 0;
  /// Not to be written; undefined when there is none.
  virtual Tensor find_tensor(const std::string& key) = 0;
  virtual void keep(const std::string& key, const PackedWeight& weight) = 0;
  /// Nobody writes the tensor afterwards.
  virtual void keep(const std::string& key, const Tensor& tensor) = 0;
};

}  // namespace krait
