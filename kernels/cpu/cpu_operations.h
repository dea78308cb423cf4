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

  /// Floats of scratch for each worker; valid until the next call.
  std::vector<float*> worker_scratch(Index floats);
  /// Products that do not depend on each other, in one loop over all of their tiles.
  void run_gemms(const std::vector<GemmArgs>& products);
  /// The product's arguments; where the weight computes in bfloat16 the rows are rounded into `rounded`.
  GemmArgs prepare_gemm(const PackedWeight& weight, const TensorView& x, const TensorView& y, const Epilogue& epilogue,
                        ScratchBuffer& rounded);
  Routing route(const MoeArgs& args);
  void route_row(const MoeArgs& args, float* scores, std::int32_t* experts, float* weights) const;

  const KernelTable& kernels_;
  ThreadPool& pool_;
  std::vector<ScratchBuffer> workers_;
  ScratchBuffer rounded_;
  ScratchBuffer moe_scores_;
  ScratchBuffer moe_rows_;
  ScratchBuffer moe_inner_;
  ScratchBuffer moe_outer_;
};

}  // namespace krait::cpu
