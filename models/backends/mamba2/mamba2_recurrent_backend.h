#pragma once

#include <memory>

#include "models/backends/mamba2/mamba2_backend.h"

namespace krait {

/// "mamba2": the token recurrence, in prefill as in decode. Exact under any cut of a prompt.
class Mamba2RecurrentBackend : public Mamba2Backend {
 public:
  [[nodiscard]] std::string_view name() const override { return "mamba2"; }
  [[nodiscard]] const BackendCapabilities& capabilities() const override;
  [[nodiscard]] std::unique_ptr<MetadataBuilder> make_metadata_builder(const CacheGroup& group) const override;
  void convolve(const BackendContext& context, const Mamba2Metadata& metadata, const Mamba2Parameters& parameters,
                const StateCacheView& state, const TensorView& x, const TensorView& out) const override;
  void prefill(const BackendContext& context, const Mamba2Metadata& metadata, const Mamba2Parameters& parameters,
               const StateCacheView& state, const Mamba2Activations& activations) const override;
  void decode(const BackendContext& context, const Mamba2Metadata& metadata, const Mamba2Parameters& parameters,
              const StateCacheView& state, const Mamba2Activations& activations) const override;
};

std::unique_ptr<MambaBackend> make_mamba2_recurrent_backend();

}  // namespace krait
