#pragma once

#include "kernels/cpu/kernel_args.h"
#include "kernels/cpu/scan_kernel_args.h"

namespace krait::cpu {

using GemmFn = void (*)(const GemmArgs&, const GemmUnit&, float* scratch);

enum class VectorFunction : std::uint8_t {
  kExp,
  kOneMinusExp,
  kLog1p,
  kSoftplus,
  kSigmoid,
  kSilu,
  kTanh,
  kErf,
  kGelu,
  kGeluTanh,
  kRelu2
};

/// The kernels of one instruction set. Those with (begin, end) work on a range of units: tokens, or what their
/// arguments say. In float32 every table gives the same bits: all are instances of the same templates over a vector of
/// 16 floats with fused multiply-adds and one fixed order of every sum (design, section 6).
struct KernelTable {
  const char* name = nullptr;

  GemmFn gemm = nullptr;
  /// Rows that `gemm` multiplies together.
  int gemm_rows = 0;
  /// Null where the processor has no bf16 dot product; then weights are never packed in pairs.
  GemmFn gemm_pairs = nullptr;
  /// Over float rows and quantised weights: the bits of `gemm` with the same weights in float32.
  GemmFn gemm_quantized = nullptr;
  /// Over rows rounded to int8 and quantised weights: sums of integers, so that every instruction set gives the same
  /// bits.
  GemmFn gemm_int8 = nullptr;
  /// Rounds one row to int8, as Int8Rows says; `depth` is `n` rounded up to blocks.
  void (*int8_row)(const float* x, std::int8_t* out, Index n, Index depth) = nullptr;
  /// Quantises a panel of 16 columns `[depth][16]`, padded with zeros, into its packed form (`layout` kInt8 or kInt4).
  void (*quantize_panel)(const float* columns, Index depth, WeightLayout layout, const QuantizedForm& form,
                         std::byte* panel) = nullptr;
  /// Rounds one row to bfloat16: as float32 values, or as bits (an odd `n` is padded with a zero).
  void (*round_row)(const float* x, float* out, Index n) = nullptr;
  void (*pair_row)(const float* x, std::uint16_t* out, Index n) = nullptr;

  void (*embedding)(const EmbeddingKernelArgs&, Index begin, Index end) = nullptr;
  void (*quantized_embedding)(const QuantizedEmbeddingKernelArgs&, Index begin, Index end) = nullptr;
  void (*add_rms_norm)(const AddRmsNormKernelArgs&, Index begin, Index end) = nullptr;
  void (*gated_rms_norm)(const GatedRmsNormKernelArgs&, Index begin, Index end) = nullptr;
  void (*gate)(const GateKernelArgs&, Index begin, Index end) = nullptr;
  void (*scaled_add)(const ScaledAddKernelArgs&, Index begin, Index end) = nullptr;
  void (*activate)(const ActivateKernelArgs&, Index begin, Index end) = nullptr;
  void (*write_kv)(const WriteKvKernelArgs&, Index begin, Index end) = nullptr;

  Index (*attention_scratch)(const AttentionKernelArgs&) = nullptr;  ///< floats a worker needs
  Index (*attention_partial)(const AttentionKernelArgs&) = nullptr;  ///< floats of one unit's `partials`
  void (*attention)(const AttentionKernelArgs&, Index begin, Index end, float* scratch) = nullptr;

  Index (*conv_scratch)(const ConvKernelArgs&) = nullptr;
  void (*conv)(const ConvKernelArgs&, Index begin, Index end, float* scratch) = nullptr;
  Index (*ssm_scratch)(const SsmKernelArgs&) = nullptr;  ///< for `ssm_scan` and `state_update`
  void (*ssm_scan)(const SsmKernelArgs&, Index begin, Index end, float* scratch) = nullptr;
  void (*state_update)(const StateUpdateKernelArgs&, Index begin, Index end, float* scratch) = nullptr;
  Index (*selective_scan_scratch)(const SelectiveScanKernelArgs&) = nullptr;
  void (*selective_scan)(const SelectiveScanKernelArgs&, Index begin, Index end, float* scratch) = nullptr;
  void (*rg_lru)(const RgLruKernelArgs&, Index begin, Index end) = nullptr;
  Index (*delta_rule_scratch)(const DeltaRuleKernelArgs&) = nullptr;
  void (*delta_rule)(const DeltaRuleKernelArgs&, Index begin, Index end, float* scratch) = nullptr;
  Index (*linear_attention_scratch)(const LinearAttentionKernelArgs&) = nullptr;
  void (*linear_attention)(const LinearAttentionKernelArgs&, Index begin, Index end, float* scratch) = nullptr;

  void (*activate_row)(RowActivation, float* row, Index n) = nullptr;
  /// out = out + scale * sum over i < count of weights[i] * rows[i], the sum from i = 0 on; without `accumulate` out =
  /// scale * sum.
  void (*combine_rows)(const float* const* rows, const float* weights, Index count, float scale, bool accumulate,
                       float* out, Index n) = nullptr;
  RowStats (*row_stats)(const float* row, Index n) = nullptr;
  /// out[i] = exp((row[i] - shift) * scale); in place is fine.
  void (*exp_row)(const float* row, float shift, float scale, float* out, Index n) = nullptr;

  /// A row from float32 to `dtype` (`narrow`) or back.
  void (*convert_row)(DType dtype, bool narrow, const void* in, void* out, Index n) = nullptr;
  // For tests: a function over whole vectors.
  void (*map_function)(VectorFunction, const float* in, float* out, Index n) = nullptr;
};

/// Null where the instruction set is not part of this build (another architecture). The caller asks the processor
/// first.
const KernelTable* portable_kernels();
const KernelTable* avx2_kernels();
const KernelTable* avx512_kernels();
/// The GEMM over bf16 pairs, for processors that have AVX512-BF16 beside the rest.
GemmFn avx512_gemm_pairs();
/// The product of int8 rows for processors that have AVX512-VNNI: the same bits, faster.
GemmFn avx512_vnni_gemm_int8();

}  // namespace krait::cpu
