#include "kernels/cuda/attention/paged_attention.h"

#include "kernels/cuda/attention/attention_kernels.h"

namespace krait::cuda {
namespace {

/// Floats of one row's segment beside its sums: the maximum and the weight.
constexpr std::size_t kWeights = 2;

std::size_t partial_rows(const PagedAttention& args, const AttentionPart& part) {
  return static_cast<std::size_t>(part.tokens) * static_cast<std::size_t>(args.heads) *
         static_cast<std::size_t>(part.segments);
}

/// Whether all rows of the cache are whole 16 bytes at multiples of 16.
bool is_aligned(const PagedKv& cache) {
  constexpr std::size_t kUnit = 16;
  const auto row_is_whole = [&](int dim) {
    return static_cast<std::size_t>(dim) * dtype_size(cache.dtype) % kUnit == 0;
  };
  return reinterpret_cast<std::uintptr_t>(cache.base) % kUnit == 0 && cache.page_stride % kUnit == 0 &&
         cache.value_offset % kUnit == 0 && row_is_whole(cache.head_dim) && row_is_whole(cache.value_dim);
}

void attend(const PagedAttention& args, const AttentionPart& part, const Partials& partials, Stream stream) {
  bool done = false;
  if (is_aligned(args.cache)) {
    switch (args.cache.dtype) {
      case DType::kBFloat16:
        done = attention_bfloat16(args, part, partials, stream);
        break;
      case DType::kFloat16:
        done = attention_float16(args, part, partials, stream);
        break;
      case DType::kInt8:
        done = attention_int8(args, part, partials, stream);
        break;
      default:
        break;
    }
  }
  if (!done) attention_float(args, part, partials, stream);
}

}  // namespace

std::size_t partial_floats(const PagedAttention& args, const AttentionPart& part) {
  if (part.segments == 1) return 0;
  return partial_rows(args, part) * (static_cast<std::size_t>(args.cache.value_dim) + kWeights);
}

void paged_attention(const PagedAttention& args, const AttentionPart& part, float* partials, Stream stream) {
  if (part.segments == 1) return attend(args, part, {}, stream);
  const Partials to{.sums = partials + kWeights * partial_rows(args, part), .weights = partials};
  attend(args, part, to, stream);
  merge_attention(args, part, to, stream);
}

}  // namespace krait::cuda
