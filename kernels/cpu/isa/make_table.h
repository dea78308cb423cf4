#pragma once

#include "kernels/cpu/isa/attention_kernel.h"
#include "kernels/cpu/isa/conv_kernel.h"
#include "kernels/cpu/isa/delta_rule_kernel.h"
#include "kernels/cpu/isa/elementwise_kernels.h"
#include "kernels/cpu/isa/gemm_int8_kernel.h"
#include "kernels/cpu/isa/gemm_kernel.h"
#include "kernels/cpu/isa/gemm_quantized_kernel.h"
#include "kernels/cpu/isa/kv_kernels.h"
#include "kernels/cpu/isa/linear_attention_kernel.h"
#include "kernels/cpu/isa/norm_kernels.h"
#include "kernels/cpu/isa/quantize_kernel.h"
#include "kernels/cpu/isa/rg_lru_kernel.h"
#include "kernels/cpu/isa/row_kernels.h"
#include "kernels/cpu/isa/selective_scan_kernel.h"
#include "kernels/cpu/isa/ssm_kernels.h"
#include "kernels/cpu/isa/state_update_kernel.h"
#include "kernels/cpu/kernel_table.h"

namespace krait::cpu {
namespace {

/// For tests: one function of Math over whole vectors (`n` a multiple of 16).
template <typename V>
void map_function(VectorFunction function, const float* in, float* out, Index n) {
  for (Index i = 0; i < n; i += kLanes) {
    const auto x = V::load(in + i);
    auto y = x;
    switch (function) {
      case VectorFunction::kExp:
        y = Math<V>::exp(x);
        break;
      case VectorFunction::kOneMinusExp:
        y = Math<V>::one_minus_exp(x);
        break;
      case VectorFunction::kLog1p:
        y = Math<V>::log1p(x);
        break;
      case VectorFunction::kSoftplus:
        y = Math<V>::softplus(x);
        break;
      case VectorFunction::kSigmoid:
        y = Math<V>::sigmoid(x);
        break;
      case VectorFunction::kSilu:
        y = Math<V>::silu(x);
        break;
      case VectorFunction::kTanh:
        y = Math<V>::tanh(x);
        break;
      case VectorFunction::kErf:
        y = Math<V>::erf(x);
        break;
      case VectorFunction::kGelu:
        y = Math<V>::gelu(x);
        break;
      case VectorFunction::kGeluTanh:
        y = Math<V>::gelu_tanh(x);
        break;
      case VectorFunction::kRelu2:
        y = Math<V>::relu2(x);
        break;
    }
    V::store(out + i, y);
  }
}

/// float32 to `dtype` (narrow) or back, `n` of any size.
template <typename V>
void convert_row(DType dtype, bool narrow, const void* in, void* out, Index n) {
  with_stored<V>(dtype, [&](auto stored) {
    using Element = typename decltype(stored)::Element;
    for (Index i = 0; i < n; i += kLanes) {
      const int lanes = lanes_left(i, n);
      if (narrow) {
        stored.store(static_cast<Element*>(out) + i, load<V>(static_cast<const float*>(in) + i, lanes), lanes);
      } else {
        store<V>(static_cast<float*>(out) + i, stored.load(static_cast<const Element*>(in) + i, lanes), lanes);
      }
    }
  });
}

template <typename V>
KernelTable make_table(const char* name) {
  KernelTable table{};
  table.name = name;
  table.gemm = gemm<V>;
  table.gemm_rows = V::kGemmRows;
  table.gemm_quantized = gemm_quantized<V>;
  table.gemm_int8 = gemm_int8<V>;
  table.int8_row = int8_row<V>;
  table.quantize_panel = quantize_panel<V>;
  table.round_row = round_row<V>;
  table.pair_row = pair_row<V>;
  table.embedding = embedding<V>;
  table.quantized_embedding = quantized_embedding<V>;
  table.add_rms_norm = add_rms_norm<V>;
  table.gated_rms_norm = gated_rms_norm<V>;
  table.gate = gate<V>;
  table.scaled_add = scaled_add<V>;
  table.activate = activate<V>;
  table.write_kv = write_kv<V>;
  table.attention_scratch = attention_scratch<V>;
  table.attention_partial = row_sums_floats;
  table.attention = attention<V>;
  table.conv_scratch = conv_scratch<V>;
  table.conv = conv<V>;
  table.ssm_scratch = ssm_scratch<V>;
  table.ssm_scan = ssm_scan<V>;
  table.state_update = state_update<V>;
  table.selective_scan_scratch = selective_scan_scratch<V>;
  table.selective_scan = selective_scan<V>;
  table.rg_lru = rg_lru<V>;
  table.delta_rule_scratch = delta_rule_scratch<V>;
  table.delta_rule = delta_rule<V>;
  table.linear_attention_scratch = linear_attention_scratch<V>;
  table.linear_attention = linear_attention<V>;
  table.activate_row = activate_row<V>;
  table.combine_rows = combine_rows<V>;
  table.row_stats = row_stats<V>;
  table.exp_row = exp_row<V>;
  table.map_function = map_function<V>;
  table.convert_row = convert_row<V>;
  return table;
}

}  // namespace
}  // namespace krait::cpu
