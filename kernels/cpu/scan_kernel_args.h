#pragma once

#include "kernels/cpu/kernel_args.h"

/// Arguments of the recurrences' kernels; see kernel_args.h.
namespace krait::cpu {

/// A recurrent state of one matrix a head, [heads, value_dim, key_dim]. Unit u is (sequence, head, block of value
/// rows), the block fastest; how many rows a block has changes no bit.
struct MatrixScanKernelArgs {
  Index heads = 0;
  Index value_dim = 0;
  Index key_dim = 0;
  Index row_block = 0;
  SequencesKernelArgs sequences;
  StateCacheView state;
};
/// Tokens that a matrix scan prepares together.
inline constexpr Index kMatrixChunkTokens = 16;

struct DeltaRuleKernelArgs {
  MatrixScanKernelArgs scan;
  ConstRows q;
  ConstRows k;
  ConstRows v;
  ConstRows decay;
  ConstRows beta;
  bool decay_per_channel = false;
  DeltaDecay decay_kind = DeltaDecay::kSoftplus;
  float lower_bound = 0.0F;
  const float* a = nullptr;
  const float* decay_bias = nullptr;  ///< may be null
  float beta_scale = 1.0F;
  float q_scale = 1.0F;
  float qk_norm_eps = 0.0F;
  Index key_heads = 0;
  Rows out;
};

struct LinearAttentionKernelArgs {
  MatrixScanKernelArgs scan;
  ConstRows q;
  ConstRows k;
  ConstRows v;
  const float* decay = nullptr;
  Rows out;
};

struct SelectiveScanKernelArgs {
  ConstRows x;
  ConstRows dt;
  ConstRows b;
  ConstRows c;
  const float* a = nullptr;
  const float* d = nullptr;        ///< may be null
  const float* dt_bias = nullptr;  ///< may be null
  Index channels = 0;
  Index groups = 1;
  Index state_size = 0;
  SequencesKernelArgs sequences;
  StateCacheView state;
  Rows y;
};
/// Channels of one unit of the selective scan: unit u is (sequence, block of channels), the block fastest.
inline constexpr Index kSelectiveScanChannels = 32;

struct RgLruKernelArgs {
  ConstRows x;
  ConstRows input_gate;
  ConstRows recurrent_gate;
  const float* a_coefficient = nullptr;
  Index channels = 0;
  SequencesKernelArgs sequences;
  StateCacheView state;
  Rows y;
};
/// Channels of one unit of the RG-LRU: unit u is (sequence, block of channels), the block fastest.
inline constexpr Index kRgLruChannels = 64;

}  // namespace krait::cpu
