#include "kernels/platform.h"

#include <string>

namespace krait {
namespace {

Status only_native(const Platform& platform, KernelLibrary library) {
  if (library == KernelLibrary::kNative) return ok_status();
  return Error{.code = ErrorCode::kUnsupported,
               .message = "platform '" + std::string(platform.name()) + "' has no kernels of " +
                          std::string(kernel_library_name(library)) + ". Valid options are: native",
               .field = {}};
}

}  // namespace

Status Platform::supports_attention(KernelLibrary library, const AttentionForm& /*form*/) const {
  return only_native(*this, library);
}

Status Platform::supports_state_update(KernelLibrary library, const StateUpdateForm& /*form*/) const {
  return only_native(*this, library);
}

}  // namespace krait
