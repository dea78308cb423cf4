#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/dtype.h"
#include "kernels/kernel_library.h"
#include "kernels/tensor.h"

namespace krait {

/// Bytes of one head's `dim` elements of one token in a KV cache. int8 has a float32 scale for each such row.
inline std::size_t kv_row_bytes(DType dtype, int dim) {
  return static_cast<std::size_t>(dim) * dtype_size(dtype) + (dtype == DType::kInt8 ? sizeof(float) : 0);
}

/// One layer's part of the KV pool, whose pages are laid out [page][layer][K|V][head][token][dim]: what one
/// head reads is contiguous. In int8 the scales follow, [page][layer][K|V][head][token], and x is q * scale with
/// scale = max |x| / 127 of the row: a token's row is rounded alone, whatever is written before or beside it.
struct KvCacheView {
  std::byte* base = nullptr;     ///< first byte of this layer's K in page 0
  std::size_t page_stride = 0;   ///< bytes from a page to the next
  std::size_t value_offset = 0;  ///< bytes from K to V of one page and layer; 0: V is the first part of each K row
  int block_size = 0;            ///< tokens a page
  int kv_heads = 0;
  int head_dim = 0;   ///< of K
  int value_dim = 0;  ///< of V; 0: head_dim. Multi-head latent attention: K rows [latent | rope], V the latent part
  DType dtype = DType::kFloat32;
};

/// Rotary angles: cos and sin are float32 [positions, rotary_dim / 2].
struct RopeView {
  TensorView cos{};
  TensorView sin{};
  int rotary_dim = 0;        ///< 0: no position embedding
  bool interleaved = false;  ///< pairs (2i, 2i+1) instead of (i, i + rotary_dim / 2)
  int offset = 0;            ///< first rotating channel of a head
};

/// Optional per-head RMSNorm of q and k, rotation, and the write of k and v into the pages.
struct WriteKvArgs {
  TensorView q{};       ///< [T, heads * head_dim], changed in place
  TensorView k{};       ///< [T, kv_heads * head_dim], changed in place
  TensorView v{};       ///< [T, kv_heads * value_dim]; undefined where V is a part of K
  TensorView q_norm{};  ///< [head_dim] float32 or undefined
  TensorView k_norm{};  ///< [head_dim] float32 or undefined
  float norm_eps = 1e-6F;
  RopeView rope{};
  std::span<const std::int32_t> positions{};     ///< [T]
  std::span<const std::int64_t> slot_mapping{};  ///< [T] page * block_size + offset; -1 writes nothing
  KvCacheView cache{};
};

/// softmax(scale q k^T + mask) v over the pages. Keys are folded in fixed tiles at absolute positions, one order for
/// prefill and decode.
struct PagedAttentionArgs {
  TensorView q{};    ///< [T, heads * head_dim]
  TensorView out{};  ///< [T, heads * value_dim]
  KvCacheView cache{};
  std::span<const std::int32_t> query_start_loc{};  ///< [R + 1]
  std::span<const std::int32_t> seq_lens{};         ///< [R] tokens in the cache, this step's included
  std::span<const std::int32_t> block_table{};      ///< [R, max_blocks] page numbers
  int max_blocks = 0;
  /// No request has more keys, also when the call is started again as a part of a graph; 0: `seq_lens` says it.
  int max_seq_len = 0;
  float scale = 1.0F;
  int sliding_window = 0;                          ///< 0: all; W: the token itself and the W - 1 before it
  float logits_soft_cap = 0;                       ///< 0: none
  TensorView sinks{};                              ///< [heads] float32 or undefined
  KernelLibrary library = KernelLibrary::kNative;  ///< one that `Platform::supports_attention`
};

}  // namespace krait
