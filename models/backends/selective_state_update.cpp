#include "models/backends/selective_state_update.h"

#include <algorithm>
#include <cctype>
#include <string>

#include "kernels/result.h"

namespace krait {
namespace {

/// The platform's own kernel.
class NativeSelectiveStateUpdate final : public SelectiveStateUpdate {
 public:
  [[nodiscard]] std::string_view name() const override { return "native"; }
  void update(Operations& ops, const SelectiveStateUpdateArgs& args) override { ops.selective_state_update(args); }
};

StartupError refuse(const std::string& message, const std::string& field) {
  return StartupError(Error{.code = ErrorCode::kInvalidArgument, .message = message, .field = field});
}

}  // namespace

void SelectiveStateUpdateDispatcher::initialize(const MambaConfig& config) {
  std::string name = config.backend;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name == "native") {
    chosen_ = std::make_unique<NativeSelectiveStateUpdate>();
  } else if (name == "flashinfer") {
    throw refuse(
        "Mamba SSU backend 'flashinfer' is not built in: it needs a build with the CUDA platform and FlashInfer's "
        "headers. Use --mamba-backend native",
        "mamba-backend");
  } else {
    throw refuse("Unknown Mamba SSU backend: '" + config.backend + "'. Valid options are: native, flashinfer",
                 "mamba-backend");
  }
}

SelectiveStateUpdate& SelectiveStateUpdateDispatcher::get() const {
  if (!chosen_) throw StartupError("Mamba SSU backend has not been initialized.");
  return *chosen_;
}

}  // namespace krait
