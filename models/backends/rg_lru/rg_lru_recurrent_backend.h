#pragma once

#include <memory>

#include "models/backends/rg_lru/rg_lru_backend.h"

namespace krait {

/// "rg_lru": the token recurrence. Exact under any cut of a prompt.
class RgLruRecurrentBackend final : public RgLruBackend {
 public:
  [[nodiscard]] std::string_view name() const override { return mamba_types::kRgLru; }
  [[nodiscard]] const BackendCapabilities& capabilities() const override;
  [[nodiscard]] std::unique_ptr<MetadataBuilder> make_metadata_builder(const CacheGroup& group) const override;
  void convolve(const BackendContext& context, const MambaMetadata& metadata, const RgLruParameters& parameters,
                const StateCacheView& state, const TensorView& x, const TensorView& out) const override;
  void recur(const BackendContext& context, const MambaMetadata& metadata, const RgLruParameters& parameters,
             const StateCacheView& state, const RgLruActivations& activations) const override;
};

std::unique_ptr<MambaBackend> make_rg_lru_recurrent_backend();

}  // namespace krait
