#pragma once

#include <memory>
#include <string_view>

#include "kernels/kernel_library.h"
#include "kernels/operations.h"
#include "models/backends/mamba_config.h"

namespace krait {

/// The state update of a Mamba decode step: the second choice below the backend (`--mamba-backend native|flashinfer`).
class SelectiveStateUpdate {
 public:
  virtual ~SelectiveStateUpdate() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual void update(Operations& ops, const SelectiveStateUpdateArgs& args) = 0;
};

/// What `--mamba-backend` names; case does not matter. Throws StartupError for an unknown name.
KernelLibrary state_update_library(const MambaConfig& config);

/// Holds the one that a runner uses. Belongs to the runner, not to the process: two models may differ.
class SelectiveStateUpdateDispatcher {
 public:
  /// Chooses by `config.backend`. Throws StartupError for an unknown name. Whether the platform has it for a layer, the
  /// layer asks (`require_state_update`).
  void initialize(const MambaConfig& config);
  /// Throws StartupError before `initialize`.
  [[nodiscard]] SelectiveStateUpdate& get() const;

 private:
  std::unique_ptr<SelectiveStateUpdate> chosen_;
};

}  // namespace krait
