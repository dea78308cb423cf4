#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "kernels/dtype.h"

namespace krait {

/// Whose kernels compute an operation that a platform may have twice (`--attention-backend`, `--mamba-backend`).
enum class KernelLibrary : std::uint8_t {
  kNative,      ///< ours; every platform has them
  kFlashInfer,  ///< FlashInfer's, on the CUDA platform of a build that contains them
};

/// All of them, as an error lists them.
inline constexpr std::string_view kKernelLibraries = "native, flashinfer";
[[nodiscard]] std::string_view kernel_library_name(KernelLibrary library);
/// Case does not matter; nullopt for anything else.
[[nodiscard]] std::optional<KernelLibrary> parse_kernel_library(std::string_view name);

/// What a layer will ask of `Operations::paged_attention`, as far as it is known at start-up.
struct AttentionForm {
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  bool latent = false;  ///< V is a part of K (multi-head latent attention)
  bool soft_cap = false;
  bool sinks = false;
  DType cache_dtype = DType::kFloat32;
};

/// What a layer will ask of `Operations::selective_state_update`.
struct StateUpdateForm {
  int head_dim = 0;
  int state_size = 0;
  bool element_decay = false;  ///< a decay an element (Mamba-1), not one a head
  bool dt_limit = false;       ///< dt is clamped
  DType state_dtype = DType::kFloat32;
};

}  // namespace krait
