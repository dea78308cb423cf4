#pragma once

#include <memory>

#include "models/backends/short_conv/short_conv_backend.h"

namespace krait {

/// "short_conv": the platform's convolutions. Exact under any cut of a prompt.
class ShortConvRecurrentBackend : public ShortConvBackend {
 public:
  [[nodiscard]] std::string_view name() const override { return "short_conv"; }
  [[nodiscard]] const BackendCapabilities& capabilities() const override;
  [[nodiscard]] std::unique_ptr<MetadataBuilder> make_metadata_builder(const CacheGroup& group) const override;
  void convolve(const BackendContext& context, const MambaMetadata& metadata, const ShortConvParameters& parameters,
                const StateCacheView& state, const TensorView& x, const TensorView& out) const override;
  void convolve_groups(const BackendContext& context, const MambaMetadata& metadata,
                       const GroupedShortConvParameters& parameters, const StateCacheView& state, const TensorView& x,
                       const TensorView& out) const override;
};

std::unique_ptr<MambaBackend> make_short_conv_recurrent_backend();

}  // namespace krait
