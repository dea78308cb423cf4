#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cuda/attention/paged_attention.h"

/// What FlashInfer's headers are called with. Only the `.cu` files of this folder see them.
namespace krait::cuda {

/// A batch as FlashInfer plans it: on the host, requests with tokens only. A request's pages lie one after another.
struct FlashInferBatch {
  std::span<const std::int32_t> query_start_loc{};  ///< [R + 1]
  std::span<const std::int32_t> page_start_loc{};   ///< [R + 1] into the page numbers of all requests
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int block_size = 0;
  int sliding_window = 0;
};

/// Bytes that a plan needs while it is used: of its tables (on the device and, pinned, on the host), and of partial
/// results.
struct FlashInferPlanBytes {
  std::size_t tables = 0;
  std::size_t partials = 0;
};
FlashInferPlanBytes flashinfer_plan_bytes(const FlashInferBatch& batch, Stream stream);

/// How the batch is cut into blocks, in FlashInfer's own form. Its tables are written to `pinned`, from where a copy to
/// `tables` is queued: both stay untouched until the stream was waited for.
std::vector<std::int64_t> make_flashinfer_plan(const FlashInferBatch& batch, const FlashInferPlanBytes& bytes,
                                               void* tables, void* pinned, void* partials, Stream stream);

/// PagedAttention by FlashInfer's paged prefill (FlashAttention-2 with mma.sync, keys split where there are few rows),
/// decodes as prompts of one token. The cache is bfloat16 or float16, to which q, the results, and what blocks of one
/// row leave to be merged are rounded; sums are float32.
struct FlashInferAttention {
  PagedAttention attention{};                      ///< without block_table, max_blocks and seq_lens
  const std::int32_t* page_start_loc = nullptr;    ///< [R + 1]
  const std::int32_t* pages = nullptr;             ///< page numbers, request after request
  const std::int32_t* last_page_tokens = nullptr;  ///< [R]
  int requests = 0;
  int tokens = 0;
  std::span<const std::int64_t> plan{};
  void* tables = nullptr;
  void* partials = nullptr;
  void* rounded_q = nullptr;    ///< tokens * heads * head_dim elements of the cache's type
  void* rounded_out = nullptr;  ///< as many
};
void flashinfer_attention_bfloat16(const FlashInferAttention& args, Stream stream);
void flashinfer_attention_float16(const FlashInferAttention& args, Stream stream);

}  // namespace krait::cuda
