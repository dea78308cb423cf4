#pragma once

#include "kernels/cuda/attention/paged_attention.h"

/// The kernels behind paged_attention: each takes the same rows and leaves results, or partials for the merge.
namespace krait::cuda {

/// What a row's segments leave: of row (token, head) and segment s, at index ((token * heads) + head) * segments + s,
/// tokens and segments counted from the part's first.
struct Partials {
  float* sums = nullptr;     ///< [.., value_dim]: of p v, relative to the maximum
  float* weights = nullptr;  ///< [.., 2]: the maximal score, and the sum of p
};

/// Any cache and head size, float32 arithmetic: scores and sums by fused multiply-adds from shared memory. Tiles of 64
/// rows (16 in decode, and for wide heads) by 32 keys. Bound by shared memory: 5 16-byte loads for 16 to 32
/// multiply-adds of a lane.
void attention_float(const PagedAttention& args, const AttentionPart& part, const Partials& partials, Stream stream);

/// Tensor cores, for a cache of this type, head sizes up to 256 or latent ones up to 576, and rows of whole 16 bytes
/// (see attention_mma.cuh). q and weights are rounded to 16 bits in prefill, and keep float32's accuracy in decode.
/// Prefill: 4 T^2 heads dim / 2 flops, tiles of 64 rows, bound by the loads of operands from shared memory. Decode:
/// moves the keys and values that the rows see, once for every 16 rows (32 of latent attention) of a KV head; bound by
/// memory. False: no shape of the kernel takes these heads.
bool attention_bfloat16(const PagedAttention& args, const AttentionPart& part, const Partials& partials, Stream stream);
bool attention_float16(const PagedAttention& args, const AttentionPart& part, const Partials& partials, Stream stream);
bool attention_int8(const PagedAttention& args, const AttentionPart& part, const Partials& partials, Stream stream);

/// The parts of split rows by their log-sum-exp, segments in order.
void merge_attention(const PagedAttention& args, const AttentionPart& part, const Partials& partials, Stream stream);

}  // namespace krait::cuda
