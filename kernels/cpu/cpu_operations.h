#pragma once

#include <vector>

#include "kernels/cpu/kernel_table.h"
#include "kernels/operations.h"
#include "kernels/thread_pool.h"

namespace krait::cpu {

/// A block of floats that grows and is reused; contents are undefined after `ensure`.
class ScratchBuffer {
 public:
  float* ensure(Index floats);

 private:
  Buffer buffer_;
};

/// The table of operations on one instruction set's kernels: checks shapes, cuts the work into units, hands them to the
/// pool. One a queue; not thread-safe, because it owns the workers' scratch memory.
class CpuOperations final : public Operations {
 public:
  CpuOperations(const KernelTable& kernels, ThreadPool& pool);

  void embedding(const EmbeddingArgs& args) override;
  void linear(const LinearArgs& args) override;
  void gate(const GateArgs& args) override;
  void scaled_add(const ScaledAddArgs& args) override;
  void activate(const ActivateArgs& args) override;
  void add_rms_norm(const AddRmsNormArgs& args) override;
  void gated_rms_norm(const GatedRmsNormArgs& args) override;
  void qk_norm_rope_write_kv(const WriteKvArgs& args) override;
  void paged_attention(const PagedAttentionArgs& args) override;
  void causal_conv1d(const CausalConv1dArgs& args) override;
  void grouped_causal_conv1d(const GroupedCausalConv1dArgs& args) override;
  void ssm_scan(const SsmScanArgs& args) override;
  void selective_scan(const SelectiveScanArgs& args) override;
  void selective_state_update(const SelectiveStateUpdateArgs& args) override;
  void delta_rule(const DeltaRuleArgs& args) override;
  void linear_attention(const LinearAttentionArgs& args) override;
  void rg_lru(const RgLruArgs& args) override;
  void moe(const MoeArgs& args) override;
  void gather_rows(const GatherRowsArgs& args) override;
  void sample(const SampleArgs& args) override;

 private:
  struct Routing;
  void quantized_embedding(const EmbeddingArgs& args);
  /// Input rows of a product as they are, rounded to bfloat16, rounded and laid in pairs, or rounded to int8.
  enum class InputForm : std::uint8_t { kPlain, kRounded, kPairs, kInt8 };
  static constexpr std::size_t kInputForms = 4;
  struct GemmInput {
    InputForm form = InputForm::kPlain;
    Index rows = 0;
    Index columns = 0;
    ConstRows x;
    const std::uint32_t* pairs = nullptr;
    Index pairs_stride = 0;
    Int8Rows int8{};
    [[nodiscard]] GemmInput slice(Index begin, Index count) const;
  };

  /// Floats of scratch for each worker; valid until the next call.
  std::vector<float*> worker_scratch(Index floats);
  /// Products that do not depend on each other, in one loop over all of their tiles.
  void run_gemms(const std::vector<GemmArgs>& products);
  [[nodiscard]] GemmFn gemm_for(const GemmArgs& product) const;
  /// The form that a weight wants its input rows in, and rows in that form; those that are not plain lie in `rounded`.
  static InputForm input_form(const PackedWeight& weight);
  GemmInput gemm_input(const TensorView& x, InputForm form, ScratchBuffer& rounded);
  GemmInput int8_input(const ConstRows& from, Index rows, Index columns, ScratchBuffer& rounded);
  static GemmArgs prepare_gemm(const PackedWeight& weight, const GemmInput& x, const TensorView& y,
                               const Epilogue& epilogue);
  Routing route(const MoeArgs& args);
  /// The product of each expert that has rows, in one loop.
  void run_experts(const Routing& routing, std::span<const PackedWeight> weights, const TensorView& x,
                   const TensorView& y, const Epilogue& epilogue);

  const KernelTable& kernels_;
  ThreadPool& pool_;
  std::vector<ScratchBuffer> workers_;
  ScratchBuffer rounded_;
  ScratchBuffer paired_;  ///< for experts whose weights want different forms
  ScratchBuffer int8_;
  ScratchBuffer attention_partials_;
  ScratchBuffer conv_rows_;
  std::vector<ScratchBuffer> conv_rounded_;
  ScratchBuffer moe_rows_;
  ScratchBuffer moe_inner_;
  ScratchBuffer moe_outer_;
};

}  // namespace krait::cpu
