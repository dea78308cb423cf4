#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/stream.h"

namespace krait::cuda {

struct Extent {
  unsigned x = 1;
  unsigned y = 1;
  unsigned z = 1;
};

/// How a kernel is started: blocks of `block` threads with `shared_bytes` of dynamic shared memory, in `stream`.
struct Launch {
  Extent grid{};
  Extent block{};
  std::size_t shared_bytes = 0;
  Stream stream = nullptr;
};

/// Blocks of `unit` that cover `count`.
constexpr unsigned blocks_for(std::int64_t count, std::int64_t unit) {
  return static_cast<unsigned>((count + unit - 1) / unit);
}

}  // namespace krait::cuda
