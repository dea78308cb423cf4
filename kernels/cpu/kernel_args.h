#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/operations.h"

/// What the kernels of one instruction set are called with: plain pointers, strides in elements, no functions. The
/// kernels' translation units are compiled for processors that the machine may not be, so nothing inline may be shared
/// with them.
namespace krait::cpu {

using Index = std::int64_t;

/// Columns of a panel, and floats of the kernels' one logical vector on every instruction set.
inline constexpr int kLanes = 16;

struct Rows {
  float* data = nullptr;
  Index stride = 0;
};
struct ConstRows {
  const float* data = nullptr;
  Index stride = 0;
};

enum class WeightLayout : std::uint8_t {
  kFloat32,        ///< panel: float[k][16]
  kBFloat16,       ///< panel: bf16[k][16]
  kBFloat16Pairs,  ///< panel: bf16[ceil(k/2)][16][2], an odd k padded with zeros
  kInt8,           ///< see QuantizedForm
  kInt4,
};

/// Quantised weights are multiplied in blocks of 32 along k, which also are the least group that has a scale.
inline constexpr Index kQuantBlock = 32;

/// A panel of quantised weights: a power of two for each of its columns (float[16]), float16 scales[groups][16] in
/// these units, with `has_zeros` the zero points float16[groups][16], and then, `data` bytes from the panel's start,
/// the blocks of 32 k, of which the last is padded with zeros:
///   kInt8: int8[8][16][4], four k of a column side by side; the weight is q * scale;
///   kInt4: uint8[4][16][4], of the eight k 8i + j (j < 4) in the low and 8i + 4 + j in the high halves of byte j; the
///   weight is (q - zero) * scale, zero = 8 where there are no zero points.
/// A product of q and scale is exact in float32.
struct QuantizedForm {
  Index group = kQuantBlock;  ///< k that share a scale: a multiple of 32
  bool has_zeros = false;
  Index zeros = 0;        ///< byte at which the zero points begin
  Index data = 0;         ///< and the blocks
  Index panel_bytes = 0;  ///< from one panel to the next
};

/// A packed weight: columns in panels of 16, the last one padded with zeros. With `gate_up` panel 2i holds columns of
/// gate and panel 2i + 1 the same columns of up, and `n` counts the columns of the result (half of the weight's).
struct PanelWeight {
  const std::byte* panels = nullptr;
  const float* bias = nullptr;  ///< one for each panel column, or null
  WeightLayout layout = WeightLayout::kFloat32;
  Index k = 0;
  Index n = 0;
  Index num_panels = 0;
  bool gate_up = false;
  QuantizedForm quantized{};  ///< of the layouts kInt8 and kInt4
};

/// Rows rounded to int8 for products with quantised weights. Of each row: int8[depth] with k padded with zeros to
/// `depth`, a multiple of 32; float[depth / 32] the sums of the blocks; float: the row's scale. x is q * scale; a row
/// with a NaN or an infinity has the scale NaN.
struct Int8Rows {
  const std::int8_t* data = nullptr;
  Index stride = 0;  ///< bytes
  Index depth = 0;
};

/// y = x W^T with its epilogue. Exactly one of `x`, `x_pairs` and `x_int8` is given, as the layout asks.
struct GemmArgs {
  PanelWeight weight;
  ConstRows x;
  Int8Rows x_int8{};
  const std::uint32_t* x_pairs = nullptr;  ///< [rows, pairs_stride]: two bf16 each
  Index pairs_stride = 0;
  Rows y;
  Index rows = 0;
  Activation activation = Activation::kNone;
  float gate_scale = 1.0F;
  float limit = 0.0F;
  float scale = 1.0F;
  bool accumulate = false;
};

/// Rows and panels of one unit of work: the caller cuts, the bits do not depend on how.
struct GemmUnit {
  Index row_begin = 0;
  Index row_end = 0;
  Index panel_begin = 0;
  Index panel_end = 0;
};
inline constexpr Index kGemmRowBlock = 192;
inline constexpr Index kGemmGroupPanels = 4;
inline constexpr Index kGemmDepthBlock = 256;
/// Floats that a unit may scribble on: accumulators, and one block of expanded weights.
inline constexpr Index kGemmScratchFloats = (kGemmRowBlock + kGemmDepthBlock) * kGemmGroupPanels * kLanes;

struct EmbeddingKernelArgs {
  const std::byte* table = nullptr;
  DType dtype = DType::kFloat32;
  Index stride = 0;
  Index hidden = 0;
  const std::int32_t* ids = nullptr;
  float multiplier = 1.0F;
  Rows out;
};

/// Rows of a table of quantised weights: those of a PanelWeight that is not `gate_up`.
struct QuantizedEmbeddingKernelArgs {
  PanelWeight table;
  const std::int32_t* ids = nullptr;
  float multiplier = 1.0F;
  Rows out;
};

struct AddRmsNormKernelArgs {
  Rows residual;
  ConstRows add;  ///< data null: nothing to add
  float add_scale = 1.0F;
  const float* weight = nullptr;  ///< null: ones
  float eps = 0.0F;
  Rows out;
  Index hidden = 0;
};

struct GatedRmsNormKernelArgs {
  ConstRows y;
  ConstRows z;
  const float* weight = nullptr;  ///< null: y * act(z)
  bool shared_weight = false;     ///< the groups have one weight, as long as a group
  Activation activation = Activation::kSilu;
  Index groups = 1;
  float eps = 0.0F;
  GateOrder order = GateOrder::kGateFirst;
  Rows out;
  Index channels = 0;
};

/// Columns of one unit of the element-wise kernels: unit u is row u / blocks, column block u % blocks.
inline constexpr Index kElementBlockColumns = 2048;

struct GateKernelArgs {
  ConstRows x;
  ConstRows gate;
  Index gate_width = 1;
  Activation activation = Activation::kSigmoid;
  float scale = 1.0F;
  bool accumulate = false;
  Rows out;
  Index columns = 0;
};

struct ScaledTermKernelArgs {
  ConstRows x;  ///< data null: no such term
  float scale = 1.0F;
  const float* weight = nullptr;
  const float* bias = nullptr;
};
struct ScaledAddKernelArgs {
  ScaledTermKernelArgs first;
  ScaledTermKernelArgs second;
  Rows out;
  Index columns = 0;
};

struct ActivateKernelArgs {
  ConstRows x;
  Activation activation = Activation::kNone;
  float input_scale = 1.0F;
  float output_scale = 1.0F;
  Rows out;
  Index columns = 0;
};

struct RopeKernelArgs {
  ConstRows cos;
  ConstRows sin;
  Index rotary_dim = 0;
  bool interleaved = false;
  Index offset = 0;
};

struct WriteKvKernelArgs {
  Rows q;
  Rows k;
  ConstRows v;  ///< data null: V is a part of K
  Index heads = 0;
  const float* q_norm = nullptr;
  const float* k_norm = nullptr;
  float norm_eps = 0.0F;
  RopeKernelArgs rope;
  const std::int32_t* positions = nullptr;
  const std::int64_t* slot_mapping = nullptr;
  KvCacheView cache;  ///< value_dim given
};

/// Query tokens of one request that are worked on together.
struct AttentionBlock {
  std::int32_t request = 0;
  std::int32_t first_token = 0;  ///< row of q
  std::int32_t tokens = 0;
  std::int32_t first_position = 0;
};
/// Tokens of a block at least, where there are as many: fewer do not pay for loading the keys. At most what keeps the
/// rows of a block near the processor.
inline constexpr std::int32_t kAttentionBlockTokens = 8;
inline constexpr std::int32_t kAttentionBlockRows = 96;
/// Query heads of one KV head that are worked on together at most: latent attention has one KV head for all of them.
inline constexpr Index kAttentionUnitHeads = 16;
/// Keys of a segment, a multiple of 16: segment s holds positions [s, s + 1) times this. Results depend on it.
inline constexpr Index kAttentionSegment = 512;

struct AttentionKernelArgs {
  ConstRows q;
  Rows out;
  KvCacheView cache;  ///< value_dim given
  const AttentionBlock* blocks = nullptr;
  const std::int32_t* block_table = nullptr;
  Index max_blocks = 0;
  Index heads = 0;
  Index heads_per_unit = 0;
  Index block_tokens = 0;  ///< of the largest block
  float scale = 1.0F;
  Index sliding_window = 0;
  float soft_cap = 0.0F;
  const float* sinks = nullptr;
  /// Segments of a block that are units of their own: as many as the longest block has, or 1 and no `partials`.
  Index segments = 1;
  float* partials = nullptr;          ///< [units, attention_partial floats]
  std::uint32_t* finished = nullptr;  ///< [units / segments] zeros: the segments that are done
};

/// SequenceBatch without spans.
struct SequencesKernelArgs {
  const std::int32_t* query_start_loc = nullptr;
  const std::int32_t* state_read = nullptr;
  const std::int32_t* state_write = nullptr;
  const std::uint8_t* has_initial_state = nullptr;    ///< null: all have one
  const std::int32_t* num_computed_tokens = nullptr;  ///< null: none
};

struct ConvKernelArgs {
  ConstRows x;
  ConstRows weight;
  const float* bias = nullptr;
  const float* initial = nullptr;  ///< the inputs before a sequence's start; null: zeros
  bool silu = true;
  Index kernel = 0;
  Index channels = 0;
  SequencesKernelArgs sequences;
  StateCacheView state;
  Rows out;
};
/// Channels of one unit of the convolution: unit u is sequence u / blocks, channel block u % blocks.
inline constexpr Index kConvBlockChannels = 64;

struct SsmKernelArgs {
  ConstRows x;
  ConstRows dt;
  ConstRows b;
  ConstRows c;
  const float* a = nullptr;
  const float* d = nullptr;
  const float* dt_bias = nullptr;
  float dt_min = 0.0F;
  float dt_max = 0.0F;
  Index heads = 0;
  Index head_dim = 0;
  Index groups = 1;
  Index state_size = 0;
  SequencesKernelArgs sequences;
  StateCacheView state;
  Rows y;
};
inline constexpr Index kSsmChunkTokens = 16;

/// The general update of single tokens or drafts: `ssm` with its own strides for A, D and dt.
struct StateUpdateKernelArgs {
  SsmKernelArgs ssm;
  Index tokens = 1;  ///< of each sequence
  ConstRows z;
  bool dt_per_row = false;
  bool dt_softplus = true;
  Index a_stride_head = 0;
  Index a_stride_row = 0;
  Index a_stride_state = 0;
  Index d_stride_head = 0;
  Index d_stride_row = 0;
};
/// State rows of one unit: unit u is (batch row, head, block of rows), the last fastest.
inline constexpr Index kStateUpdateRows = 32;

struct RowStats {
  float max = 0.0F;
  bool has_nan = false;
};

/// What rows of router logits become: softmax or sigmoid in place.
enum class RowActivation : std::uint8_t { kSoftmax, kSigmoid };

}  // namespace krait::cpu
