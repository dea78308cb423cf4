#include "kernels/kernel_library.h"

#include <algorithm>
#include <cctype>

namespace krait {

std::string_view kernel_library_name(KernelLibrary library) {
  return library == KernelLibrary::kFlashInfer ? "flashinfer" : "native";
}

std::optional<KernelLibrary> parse_kernel_library(std::string_view name) {
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  for (const KernelLibrary library : {KernelLibrary::kNative, KernelLibrary::kFlashInfer}) {
    const std::string_view known = kernel_library_name(library);
    if (std::equal(name.begin(), name.end(), known.begin(), known.end(), same)) return library;
  }
  return std::nullopt;
}

}  // namespace krait
