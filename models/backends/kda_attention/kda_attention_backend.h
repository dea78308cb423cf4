#pragma once

#include "models/backends/delta_rule/delta_rule_layer.h"

namespace krait {

/// Convolution and recurrence of Kimi delta attention; projections and norms are the layer's. Prefill and decode are
/// one computation over the step's waves. Reads state_read and writes state_write.
class KdaAttentionBackend : public MambaBackend {
 public:
  virtual void forward(const BackendContext& context, const MambaMetadata& metadata,
                       const DeltaRuleParameters& parameters, const StateCacheView& state,
                       const DeltaRuleActivations& activations) const = 0;
};

}  // namespace krait
