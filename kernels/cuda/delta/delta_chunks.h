#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/delta/delta_rule.h"
#include "kernels/cuda/scan_chunks.h"

namespace krait::cuda {

/// The delta rule for many tokens of a sequence: chunks of 64, by the WY representation (Yang et al., 2024,
/// "Parallelizing Linear Transformers with the Delta Rule", and "Gated Delta Networks", eq. 11 to 14). With g the
/// summed log decays of a chunk, its old state S [key, value], and by rows i, j <= i of the chunk
///   A = beta_i (k_i . k_j) e^(g_i - g_j), j < i;    P = (q_i . k_j) e^(g_i - g_j);    T = (1 + A)^-1
///   U = T (beta v);   W = T (beta e^g k);   u = U - W S;   o = (q e^g) S + P u;   S = e^(g_end) S + (k e^(g_end -
///   g))^T u
/// A first kernel makes what does not depend on the state, for many chunks at once; a second one takes each sequence
/// through its chunks, and leaves the state in the slot of a snapshot where a chunk ends at one. The state is rounded
/// to its type where the second one ends (after `at_once` chunks of the batch, and after a sequence's last) and in
/// snapshots.
///
/// Products are `mma` with operands split in two bfloat16 (split_products.cuh); decays, sums and the inverse are
/// float32. Flops a token and head at 128 x 128: 0.18 M, three times that in the instructions. Prepared operands take
/// 2.25 KiB a token and head, written and read once. A sequence is bound by the latency of its chunks, one after
/// another, on heads * value_dim / 64 blocks; many sequences are bound by the instructions.
struct DeltaChunks {
  const std::int32_t* first_chunk = nullptr;  ///< [sequences + 1]: sequences that are not chunked have none
  const ScanChunk* chunks = nullptr;          ///< of at most kChunkTokens
  int begin = 0;                              ///< the chunks to run: [begin, end)
  int end = 0;
  int at_once = 1;           ///< chunks whose operands have room
  void* operands = nullptr;  ///< at_once * heads * delta_chunk_bytes
};
constexpr int kChunkTokens = 64;
constexpr int kMaximumChunkedKeyDim = 128;
/// From here on a sequence is cheaper in chunks: below, one chunk costs more than its tokens one by one.
constexpr int kFewestChunkedTokens = 64;

/// Bytes of prepared operands for one chunk of one head.
std::size_t delta_chunk_bytes(int key_dim, int value_dim);
void delta_rule_chunks(const DeltaRule& args, const DeltaChunks& chunks, Stream stream);
/// Its first kernel, for the chunks [begin, end): no more than `at_once`.
void prepare_delta_chunks(const DeltaRule& args, const DeltaChunks& chunks, Stream stream);

}  // namespace krait::cuda
