#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/dtype.h"
#include "kernels/operation_graph.h"
#include "models/backends/batch_layout.h"

namespace krait {

class Operations;
class SelectiveStateUpdate;
class Workspace;
struct CacheGroup;

/// What a backend can do. Start-up checks what the flags ask for against it; nothing is silently ignored.
struct BackendCapabilities {
  std::vector<std::string> platforms;  ///< empty: every platform that has the operations
  std::vector<DType> state_dtypes;     ///< of recurrent states; empty for attention
  /// Cutting a prompt anywhere leaves every bit of the answer as it is, on a platform whose operations allow it: the
  /// CPU's do; on CUDA long prefills work in chunks and tiles.
  bool exact_splits = false;
  bool snapshots_inside_prefill = false;
  bool drafts = false;
  bool batch_invariant = false;
  /// Which operations a step of decodes queues depends on its number of rows and on `BatchLayout::max_seq_len` alone,
  /// and all arrays that they are given are listed by the metadata or the layout.
  bool graph_capture = false;
  bool stochastic_rounding = false;  ///< of float16 recurrent states (`StateCacheView::rounding`)
};

/// Base of what a group's metadata builder builds for a step.
struct LayerMetadata {
  virtual ~LayerMetadata() = default;
  /// Adds the arrays of its own that operations of the layers are given, the same ones for every step of decodes.
  virtual void list_arrays(StepArrays& arrays) const = 0;
};

/// Turns the step's layout into the metadata of one cache group. Called once a group and step.
class MetadataBuilder {
 public:
  virtual ~MetadataBuilder() = default;
  virtual std::unique_ptr<LayerMetadata> build(const BatchLayout& batch) = 0;
};

/// What a backend needs to compute, beside its layer's own arguments.
struct BackendContext {
  Operations* ops = nullptr;
  Workspace* workspace = nullptr;
  SelectiveStateUpdate* selective_state_update = nullptr;
};

/// How the layers of one kind are computed. Stateless and shared by all models of the process.
class LayerBackend {
 public:
  virtual ~LayerBackend() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual const BackendCapabilities& capabilities() const = 0;
  /// Throws StartupError when the group cannot be served (a Mamba-2 group without a chunk size).
  [[nodiscard]] virtual std::unique_ptr<MetadataBuilder> make_metadata_builder(const CacheGroup& group) const = 0;
};

/// A backend of recurrent layers. Each mamba type derives the interface of its own prefill and decode
/// (`mamba2/mamba2_backend.h`).
class MambaBackend : public LayerBackend {};

}  // namespace krait
