#pragma once

#include <cstdint>
#include <vector>

#include "engine/runner/step_plan.h"
#include "models/backends/batch_layout.h"

namespace krait {

/// Lays a step's requests out: all tokens in the plan's order (decodes first), with every list that the metadata
/// builders read.
struct PackedBatch {
  BatchLayout layout;
  std::vector<std::int32_t> ids;  ///< [T]
  /// [T] of a step of decodes: the row of the tokens sampled last that takes the place of the id, or -1.
  std::vector<std::int32_t> token_sources{};
};

PackedBatch pack_batch(const StepPlan& plan, std::size_t kv_groups);

}  // namespace krait
