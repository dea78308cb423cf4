#pragma once

#include <string>

#include "kernels/communicator.h"
#include "kernels/result.h"

namespace krait {

/// This rank's place in a tensor-parallel group. Every layer's constructor takes one; head counts inside a layer are
/// local ones.
struct ParallelContext {
  int rank = 0;
  int size = 1;
  Communicator* communicator = nullptr;  ///< null when size is 1

  /// This rank's share of `count`; StartupError naming `what` when it cannot be divided.
  [[nodiscard]] int divide(int count, const std::string& what) const {
    if (count % size != 0) {
      throw StartupError("a tensor-parallel size of " + std::to_string(size) + " does not divide " + what + " (" +
                         std::to_string(count) + ")");
    }
    return count / size;
  }
};

}  // namespace krait
