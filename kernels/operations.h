#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/packed_weight.h"
#include "kernels/sampling.h"
#include "kernels/tensor.h"

namespace krait {

/// Activations are float32 matrices `[tokens, features]` on the CPU platform. T = tokens of the step, R = its requests.
/// No operation checks data that a user controls: shapes are the layers' promise, and a broken promise is a KRAIT_BUG.
/// On every platform that claims `exact_splits`, row t of a result depends only on row t of the inputs and on the
/// caches.

/// out[t] = multiplier * table[ids[t]]. An id outside the table is a bug: the edge has checked it.
struct EmbeddingArgs {
  TensorView table{};  ///< [vocab, hidden], float32, bfloat16 or float16
  std::span<const std::int32_t> ids{};
  float multiplier = 1.0F;
  TensorView out{};  ///< [T, hidden]
};

enum class Activation : std::uint8_t {
  kNone,
  kSiluGate,  ///< the weight is [gate | up], the result silu(gate) * up, half as wide as the weight
};

/// y = scale * activation(x W^T + b), or y += that.
struct Epilogue {
  Activation activation = Activation::kNone;
  float scale = 1.0F;
  bool accumulate = false;
};

struct LinearArgs {
  const PackedWeight* weight = nullptr;
  TensorView x{};  ///< [T, in_features]
  TensorView y{};  ///< [T, out_features] (half of it with kSiluGate)
  Epilogue epilogue{};
};

/// residual += add_scale * add (when `add` is given); out = weight * residual / sqrt(mean(residual^2) + eps).
/// Zero-centred norms have had 1 added to their weight at load.
struct AddRmsNormArgs {
  TensorView residual{};  ///< [T, hidden]; written only when `add` is given
  TensorView add{};       ///< [T, hidden] or undefined
  float add_scale = 1.0F;
  TensorView weight{};  ///< [hidden] float32
  float eps = 1e-6F;
  TensorView out{};  ///< [T, hidden]
};

enum class GateOrder : std::uint8_t {
  kGateFirst,  ///< weight * groupnorm(y * silu(z)): Mamba-2 families
  kNormFirst,  ///< weight * groupnorm(y) * silu(z)
};

/// Gated RMSNorm over `groups` equal groups of channels, each with its own mean.
struct GatedRmsNormArgs {
  TensorView y{};       ///< [T, channels]
  TensorView z{};       ///< [T, channels]
  TensorView weight{};  ///< [channels] float32; undefined: no norm, only y * silu(z)
  int groups = 1;
  float eps = 1e-6F;
  GateOrder order = GateOrder::kGateFirst;
  TensorView out{};  ///< [T, channels]
};

/// One layer's part of the KV pool, whose pages are laid out [page][layer][K|V][token][head][dim].
struct KvCacheView {
  std::byte* base = nullptr;     ///< first byte of this layer's K in page 0
  std::size_t page_stride = 0;   ///< bytes from a page to the next
  std::size_t value_offset = 0;  ///< bytes from K to V of one page and layer
  int block_size = 0;            ///< tokens a page
  int kv_heads = 0;
  int head_dim = 0;
  DType dtype = DType::kFloat32;
};

/// Rotary angles: cos and sin are float32 [positions, rotary_dim / 2].
struct RopeView {
  TensorView cos{};
  TensorView sin{};
  int rotary_dim = 0;        ///< 0: no position embedding
  bool interleaved = false;  ///< pairs (2i, 2i+1) instead of (i, i + rotary_dim / 2)
};

/// Optional per-head RMSNorm of q and k, rotation, and the write of k and v into the pages.
struct WriteKvArgs {
  TensorView q{};       ///< [T, heads * head_dim], changed in place
  TensorView k{};       ///< [T, kv_heads * head_dim], changed in place
  TensorView v{};       ///< [T, kv_heads * head_dim]
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
  TensorView out{};  ///< [T, heads * head_dim]
  KvCacheView cache{};
  std::span<const std::int32_t> query_start_loc{};  ///< [R + 1]
  std::span<const std::int32_t> seq_lens{};         ///< [R] tokens in the cache, this step's included
  std::span<const std::int32_t> block_table{};      ///< [R, max_blocks] page numbers
  int max_blocks = 0;
  float scale = 1.0F;
  int sliding_window = 0;     ///< 0: all; W: the token itself and the W - 1 before it
  float logits_soft_cap = 0;  ///< 0: none
  TensorView sinks{};         ///< [heads] float32 or undefined
};

/// One layer's part of the state pool, whose slots are laid out [slot][layer][conv state | recurrent state].
struct StateCacheView {
  std::byte* conv =
      nullptr;  ///< this layer's conv state in slot 0: [kernel - 1, channels], channel-last, oldest token first
  std::byte* recurrent = nullptr;  ///< this layer's recurrent state in slot 0, on a 128-byte boundary
  std::size_t slot_stride = 0;     ///< bytes from a slot to the next
  DType conv_dtype = DType::kFloat32;
  DType recurrent_dtype = DType::kFloat32;
};

/// Which sequences a varlen state kernel works on. Sequence i owns tokens [query_start_loc[i], query_start_loc[i+1]),
/// starts from slot state_read[i] (from zeros where has_initial_state[i] is 0, whatever the slot holds) and leaves its
/// state in state_write[i]. A sequence without tokens copies nothing and changes nothing. Slot 0 is the null slot of
/// padded rows: they are skipped.
struct SequenceBatch {
  std::span<const std::int32_t> query_start_loc{};    ///< [R + 1]
  std::span<const std::int32_t> state_read{};         ///< [R]
  std::span<const std::int32_t> state_write{};        ///< [R]
  std::span<const std::uint8_t> has_initial_state{};  ///< [R]
};

/// y[t] = act(bias + sum_k w[k] x[t - (K-1) + k]) per channel; keeps the last K-1 raw inputs as state.
struct CausalConv1dArgs {
  TensorView x{};       ///< [T, channels]
  TensorView weight{};  ///< [K, channels] float32 (transposed at load)
  TensorView bias{};    ///< [channels] float32 or undefined
  bool silu = true;
  SequenceBatch batch{};
  StateCacheView state{};
  TensorView out{};  ///< [T, channels]; may not alias x
};

/// The Mamba-2 recurrence (Dao and Gu, 2024, "Transformers are SSMs", eq. 19 in its recurrent form), token by token:
///   dt = clamp(softplus(dt + dt_bias), dt_min, dt_max);  S = exp(dt A) S + dt x B^T;  y = S C + D x
struct SsmScanArgs {
  TensorView x{};        ///< [T, heads * head_dim]
  TensorView b{};        ///< [T, groups * state]
  TensorView c{};        ///< [T, groups * state]
  TensorView dt{};       ///< [T, heads], raw
  TensorView a{};        ///< [heads] float32, already -exp(A_log)
  TensorView d{};        ///< [heads] float32 or undefined
  TensorView dt_bias{};  ///< [heads] float32 or undefined
  float dt_min = 0.0F;
  float dt_max = 0.0F;  ///< infinity, or 0 and below: no upper limit
  int heads = 0;
  int head_dim = 0;
  int groups = 1;
  int state_size = 0;
  SequenceBatch batch{};
  StateCacheView state{};  ///< recurrent: [heads, head_dim, state_size]
  TensorView y{};          ///< [T, heads * head_dim]
};

/// One token of the selective state space recurrence for each of `batch` rows (Gu and Dao, 2023, alg. 2; Mamba-2's
/// scalar A is the case of stride 0): state[h,p,n] = state * exp(dt[h,p] A[h,p,n]) + dt[h,p] B[g,n] x[h,p];  y[h,p] =
/// sum_n state C[g,n] + D x. Strides are in elements; a stride of 0 repeats a value.
struct SelectiveStateUpdateArgs {
  TensorView x{};   ///< [batch, heads * head_dim]
  TensorView dt{};  ///< [batch, heads] or, with dt_per_row, [batch, heads * head_dim]; raw
  bool dt_per_row = false;
  TensorView b{};  ///< [batch, groups * state]
  TensorView c{};  ///< [batch, groups * state]
  TensorView z{};  ///< [batch, heads * head_dim] or undefined: y *= silu(z)
  const float* a = nullptr;
  std::int64_t a_stride_head = 1;
  std::int64_t a_stride_row = 0;
  std::int64_t a_stride_state = 0;
  const float* d = nullptr;  ///< may be null
  std::int64_t d_stride_head = 1;
  std::int64_t d_stride_row = 0;
  const float* dt_bias = nullptr;  ///< may be null; laid out as one row of dt
  bool dt_softplus = true;
  float dt_min = 0.0F;
  float dt_max = 0.0F;  ///< infinity, or 0 and below: no upper limit
  int heads = 0;
  int head_dim = 0;
  int groups = 1;
  int state_size = 0;
  std::span<const std::int32_t> state_read{};         ///< [batch]
  std::span<const std::int32_t> state_write{};        ///< [batch]; null slot 0: the row is padding and is skipped
  std::span<const std::uint8_t> has_initial_state{};  ///< [batch], or empty: all have one
  StateCacheView state{};                             ///< recurrent: [heads, head_dim, state_size]
  TensorView y{};                                     ///< [batch, heads * head_dim]
};

enum class RouterScoring : std::uint8_t {
  kTopKThenSoftmax,  ///< softmax over the chosen logits (Granite, gpt-oss)
  kSoftmaxThenTopK,
  kSigmoid,
};

/// Mixture of gated experts: out (+)= scale * sum over the chosen experts of weight * down(silu(gate x) * up x), added
/// in the order of routing (best first; equal scores: lower expert first).
struct MoeArgs {
  TensorView x{};                           ///< [T, hidden]
  const PackedWeight* router = nullptr;     ///< [experts, hidden]
  std::span<const PackedWeight> gate_up{};  ///< one an expert, packed with PackScheme::gate_up
  std::span<const PackedWeight> down{};     ///< one an expert
  int top_k = 0;
  RouterScoring scoring = RouterScoring::kTopKThenSoftmax;
  bool renormalize = false;
  float scale = 1.0F;
  bool accumulate = false;
  TensorView out{};  ///< [T, hidden]
};

/// Rows `indices` of x, in order.
struct GatherRowsArgs {
  TensorView x{};
  std::span<const std::int32_t> indices{};
  TensorView out{};
};

/// The table of operations of a platform, as coarse as what may be fused. Bound to a queue; not thread-safe.
class Operations {
 public:
  virtual ~Operations() = default;
  virtual void embedding(const EmbeddingArgs& args) = 0;
  virtual void linear(const LinearArgs& args) = 0;
  virtual void add_rms_norm(const AddRmsNormArgs& args) = 0;
  virtual void gated_rms_norm(const GatedRmsNormArgs& args) = 0;
  virtual void qk_norm_rope_write_kv(const WriteKvArgs& args) = 0;
  virtual void paged_attention(const PagedAttentionArgs& args) = 0;
  virtual void causal_conv1d(const CausalConv1dArgs& args) = 0;
  virtual void ssm_scan(const SsmScanArgs& args) = 0;
  virtual void selective_state_update(const SelectiveStateUpdateArgs& args) = 0;
  virtual void moe(const MoeArgs& args) = 0;
  virtual void gather_rows(const GatherRowsArgs& args) = 0;
  /// One token for each row of logits; rows do not see each other. A row with a NaN or without a finite logit is
  /// reported, not sampled.
  virtual void sample(const SampleArgs& args) = 0;
};

}  // namespace krait
