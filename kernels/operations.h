#pragma once

#include "kernels/operations/attention_args.h"
#include "kernels/operations/elementwise_args.h"
#include "kernels/operations/linear_args.h"
#include "kernels/operations/moe_args.h"
#include "kernels/operations/norm_args.h"
#include "kernels/operations/scan_args.h"
#include "kernels/operations/state_args.h"
#include "kernels/sampling.h"

namespace krait {

/// Activations are float32 matrices `[tokens, features]` on the CPU platform. T = tokens of the step, R = its requests.
/// No operation checks data that a user controls: shapes are the layers' promise, and a broken promise is a KRAIT_BUG.
/// On every platform that claims `exact_splits`, row t of a result depends only on row t of the inputs and on the
/// caches. Each operation's arguments, formula and source stand in `kernels/operations/`.
///
/// The table of operations of a platform, as coarse as what may be fused. Bound to a queue; not thread-safe.
class Operations {
 public:
  virtual ~Operations() = default;
  virtual void embedding(const EmbeddingArgs& args) = 0;
  virtual void linear(const LinearArgs& args) = 0;
  virtual void gate(const GateArgs& args) = 0;
  virtual void scaled_add(const ScaledAddArgs& args) = 0;
  virtual void activate(const ActivateArgs& args) = 0;
  virtual void add_rms_norm(const AddRmsNormArgs& args) = 0;
  virtual void gated_rms_norm(const GatedRmsNormArgs& args) = 0;
  virtual void qk_norm_rope_write_kv(const WriteKvArgs& args) = 0;
  virtual void paged_attention(const PagedAttentionArgs& args) = 0;
  /// Whether convolutions and recurrences take `SequenceBatch::snapshots`. Where not, sequences are cut at them.
  [[nodiscard]] virtual bool leaves_snapshots() const { return false; }
  virtual void causal_conv1d(const CausalConv1dArgs& args) = 0;
  virtual void grouped_causal_conv1d(const GroupedCausalConv1dArgs& args) = 0;
  virtual void ssm_scan(const SsmScanArgs& args) = 0;
  virtual void selective_scan(const SelectiveScanArgs& args) = 0;
  virtual void selective_state_update(const SelectiveStateUpdateArgs& args) = 0;
  virtual void delta_rule(const DeltaRuleArgs& args) = 0;
  virtual void linear_attention(const LinearAttentionArgs& args) = 0;
  virtual void rg_lru(const RgLruArgs& args) = 0;
  virtual void moe(const MoeArgs& args) = 0;
  virtual void gather_rows(const GatherRowsArgs& args) = 0;
  /// One token for each row of logits; rows do not see each other. A row with a NaN or without a finite logit is
  /// reported, not sampled.
  virtual void sample(const SampleArgs& args) = 0;
};

}  // namespace krait
