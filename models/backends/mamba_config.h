#pragma once

#include <map>
#include <optional>
#include <string>

#include "kernels/dtype.h"

namespace krait {

/// What a user may choose about the recurrent layers. The names are the flags'.
struct MambaConfig {
  std::string backend = "native";  ///< --mamba-backend: the selective-state-update of decode
  bool enable_stochastic_rounding = false;
  int stochastic_rounding_philox_rounds = 0;  ///< 0 means the default of 10; see `philox_rounds`
  std::optional<DType> ssm_cache_dtype;       ///< nullopt ("auto"): what the checkpoint states, else float32
  std::optional<DType> conv_cache_dtype;      ///< --mamba-cache-dtype; nullopt ("auto"): float32
  std::map<std::string, std::string> attention_backends;  ///< --mamba-attention-backend TYPE=NAME

  [[nodiscard]] int philox_rounds() const {
    return stochastic_rounding_philox_rounds == 0 ? 10 : stochastic_rounding_philox_rounds;
  }
};

}  // namespace krait
