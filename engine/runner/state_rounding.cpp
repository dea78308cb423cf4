#include "engine/runner/state_rounding.h"

#include <algorithm>
#include <string>

#include "kernels/platform.h"
#include "kernels/result.h"

namespace krait {
namespace {

constexpr const char* kFlag = "enable-mamba-cache-stochastic-rounding";
constexpr std::uint64_t kSeed = 0x6B72616974;  // "krait"

[[noreturn]] void refuse(const std::string& why) {
  throw StartupError(
      Error{.code = ErrorCode::kInvalidArgument, .message = std::string("--") + kFlag + " " + why, .field = kFlag});
}

bool is_recurrent(const StateTensorSpec& tensor) { return tensor.role == StateTensorSpec::Role::kRecurrent; }

/// Whether the group has states to round.
bool check(const CacheGroup& group) {
  if (group.is_attention()) return false;
  const auto& tensors = std::get<MambaSpec>(group.spec).tensors;
  const auto state = std::find_if(tensors.begin(), tensors.end(), is_recurrent);
  if (state == tensors.end()) return false;
  const std::string layers = "the model's " + kind_of(group.spec) + " layers";
  if (!group.backend->capabilities().stochastic_rounding) {
    refuse("is not served by backend '" + std::string(group.backend->name()) + "' of " + layers +
           ": it rounds the states of Mamba-1 and Mamba-2 layers");
  }
  if (state->dtype != DType::kFloat16) {
    refuse("rounds float16 states, and those of " + layers + " are " + std::string(dtype_name(state->dtype)) +
           ": give --mamba-ssm-cache-dtype float16");
  }
  return true;
}

}  // namespace

StateRounding choose_state_rounding(const MambaConfig& config, const Platform& platform,
                                    const std::vector<CacheGroup>& groups) {
  if (!config.enable_stochastic_rounding) {
    if (config.stochastic_rounding_philox_rounds == 0) return {};
    throw StartupError(Error{.code = ErrorCode::kInvalidArgument,
                             .message = std::string("--mamba-cache-philox-rounds has an effect only with --") + kFlag,
                             .field = "mamba-cache-philox-rounds"});
  }
  if (!platform.supports_stochastic_rounding()) {
    refuse("is not served on platform '" + std::string(platform.name()) + "'. Valid: cpu, cuda");
  }
  bool any = false;
  for (const CacheGroup& group : groups) any = check(group) || any;
  if (!any) refuse("has no effect: the model has no Mamba-1 or Mamba-2 layers");
  return {.philox_rounds = config.philox_rounds(), .seed = kSeed, .layer = 0};
}

}  // namespace krait
