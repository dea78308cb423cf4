#pragma once

#include <memory>

#include "models/backends/mamba1/mamba1_backend.h"

namespace krait {

/// "mamba1": the token recurrence, in prefill as in decode. Exact under any cut of a prompt.
class Mamba1RecurrentBackend : public Mamba1Backend {
 public:
  [[nodiscard]] std::string_view name() const override { return "mamba1"; }
  [[nodiscard]] const BackendCapabilities& capabilities() const override;
  [[nodiscard]] std::unique_ptr<MetadataBuilder> make_metadata_builder(const CacheGroup& group) const override;
  void convolve(const BackendContext& context, const MambaMetadata& metadata, const Mamba1Parameters& parameters,
                const StateCacheView& state, const TensorView& x, const TensorView& out) const override;
  void prefill(const BackendContext& context, const MambaMetadata& metadata, const Mamba1Parameters& parameters,
               const StateCacheView& state, const Mamba1Activations& activations) const override;
  void decode(const BackendContext& context, const MambaMetadata& metadata, const Mamba1Parameters& parameters,
              const StateCacheView& state, const Mamba1Activations& activations) const override;
};

std::unique_ptr<MambaBackend> make_mamba1_recurrent_backend();

}  // namespace krait
