#pragma once

#include <cstddef>

#include "kernels/dtype.h"

namespace krait::cuda {

/// KvCacheView (kernels/operations/attention_args.h) as kernels take it, with its value_dim written out.
struct PagedKv {
  std::byte* base = nullptr;
  std::size_t page_stride = 0;
  std::size_t value_offset = 0;  ///< 0: V is the first part of each K row
  int block_size = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int value_dim = 0;
  DType dtype = DType::kFloat32;
};

}  // namespace krait::cuda
