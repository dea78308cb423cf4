#pragma once

#include "kernels/tensor.h"

namespace krait {

/// The collective operations of a tensor-parallel group. One object a rank; all ranks call the same operations in the
/// same order.
class Communicator {
 public:
  virtual ~Communicator() = default;
  /// data = sum over ranks, in rank order.
  virtual void all_reduce(const TensorView& data) = 0;
  /// out [size * rows, columns] = the ranks' `in` [rows, columns], one after another.
  virtual void all_gather(const TensorView& in, const TensorView& out) = 0;
  virtual void broadcast(const TensorView& data, int root) = 0;
};

}  // namespace krait
