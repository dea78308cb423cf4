#include "models/layers/kernel_choice.h"

#include "kernels/platform.h"
#include "kernels/result.h"
#include "models/backends/selective_state_update.h"

namespace krait {
namespace {

void require_support(const Status& status, const std::string& layer, const std::string& flag, KernelLibrary library) {
  if (status.ok()) return;
  const std::string choice = "--" + flag + " " + std::string(kernel_library_name(library));
  throw StartupError(Error{.code = status.error().code,
                           .message = choice + ": " + status.error().message + " (layer '" + layer + "')",
                           .field = flag});
}

}  // namespace

const AttentionBackend& select_attention_backend(const std::string& layer, const LayerContext& context,
                                                 const AttentionForm& form) {
  require_support(context.platform.supports_attention(context.attention_library, form), layer, "attention-backend",
                  context.attention_library);
  return paged_attention_backend(context.attention_library);
}

void require_state_update(const std::string& layer, const LayerContext& context, const StateUpdateForm& form) {
  const KernelLibrary library = state_update_library(context.mamba);
  if (library != KernelLibrary::kNative && context.mamba.enable_stochastic_rounding) {
    throw StartupError(Error{.code = ErrorCode::kUnsupported,
                             .message = "--mamba-backend " + std::string(kernel_library_name(library)) +
                                        " cannot be combined with --enable-mamba-cache-stochastic-rounding: it rounds "
                                        "by another key than the server's seed, layer and position. Valid options "
                                        "are: native",
                             .field = "mamba-backend"});
  }
  require_support(context.platform.supports_state_update(library, form), layer, "mamba-backend", library);
}

}  // namespace krait
