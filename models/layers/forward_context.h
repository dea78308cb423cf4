#pragma once

#include <memory>
#include <span>

#include "kernels/operations.h"
#include "models/backends/batch_layout.h"
#include "models/backends/layer_backend.h"
#include "models/layers/workspace.h"

namespace krait {

/// What the layers of one step share.
struct ForwardContext {
  Operations& ops;
  Workspace& workspace;
  const BatchLayout& batch;
  std::span<const std::unique_ptr<LayerMetadata>> group_metadata;  ///< one a cache group
  SelectiveStateUpdate* selective_state_update = nullptr;

  [[nodiscard]] BackendContext backend() const {
    return {.ops = &ops, .workspace = &workspace, .selective_state_update = selective_state_update};
  }
};

}  // namespace krait
