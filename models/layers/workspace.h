#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/platform.h"
#include "kernels/tensor.h"

namespace krait {

/// Scratch memory for the activations of one step. Matrices are handed out one after another and given back together
/// when their Scope ends; the memory itself is kept, so that a step in steady state allocates nothing.
class Workspace {
 public:
  explicit Workspace(Platform& platform) : platform_(platform) {}

  /// Returns what was handed out since it was made.
  class Scope {
   public:
    explicit Scope(Workspace& workspace) : workspace_(workspace), block_(workspace.block_), used_(workspace.used_) {}
    ~Scope() {
      workspace_.block_ = block_;
      workspace_.used_ = used_;
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Workspace& workspace_;
    std::size_t block_;
    std::size_t used_;
  };

  /// A float32 matrix, contents undefined, 64-byte aligned.
  TensorView matrix(std::int64_t rows, std::int64_t columns);

 private:
  Platform& platform_;
  std::vector<Buffer> blocks_;
  std::size_t block_ = 0;  ///< the block that is being filled
  std::size_t used_ = 0;   ///< bytes of it
};

}  // namespace krait
