#include "models/backends/selective_state_update.h"

#include <string>

#include "kernels/result.h"

namespace krait {
namespace {

/// The platform's operation, with the kernels of a library.
class LibraryStateUpdate final : public SelectiveStateUpdate {
 public:
  explicit LibraryStateUpdate(KernelLibrary library) : library_(library) {}
  [[nodiscard]] std::string_view name() const override { return kernel_library_name(library_); }
  void update(Operations& ops, const SelectiveStateUpdateArgs& args) override {
    SelectiveStateUpdateArgs chosen = args;
    chosen.library = library_;
    ops.selective_state_update(chosen);
  }

 private:
  KernelLibrary library_;
};

StartupError refuse(const std::string& message, const std::string& field) {
  return StartupError(Error{.code = ErrorCode::kInvalidArgument, .message = message, .field = field});
}

}  // namespace

KernelLibrary state_update_library(const MambaConfig& config) {
  const auto library = parse_kernel_library(config.backend);
  if (library) return *library;
  throw refuse(
      "Unknown Mamba SSU backend: '" + config.backend + "'. Valid options are: " + std::string(kKernelLibraries),
      "mamba-backend");
}

void SelectiveStateUpdateDispatcher::initialize(const MambaConfig& config) {
  chosen_ = std::make_unique<LibraryStateUpdate>(state_update_library(config));
}

SelectiveStateUpdate& SelectiveStateUpdateDispatcher::get() const {
  if (!chosen_) throw StartupError("Mamba SSU backend has not been initialized.");
  return *chosen_;
}

}  // namespace krait
