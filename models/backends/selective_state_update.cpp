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
  if (config.enable_stochastic_rounding) {
    throw refuse(
        "--enable-mamba-cache-stochastic-rounding is not served by this version: it needs float16 SSM states on the "
        "CUDA platform, which is not built yet",
        "enable-mamba-cache-stochastic-rounding");
  }
  if (config.stochastic_rounding_philox_rounds != 0) {
    throw refuse("--mamba-cache-philox-rounds has an effect only with --enable-mamba-cache-stochastic-rounding",
                 "mamba-cache-philox-rounds");
  }
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
