#pragma once

#include <vector>

#include "kernels/stochastic_rounding.h"
#include "models/backends/mamba_config.h"
#include "models/layers/cache_group.h"

namespace krait {

class Platform;

/// How the runner's recurrent states are rounded (`--enable-mamba-cache-stochastic-rounding`), without the layer. The
/// seed is the same in every process, so that the same request gets the same answer everywhere. Throws StartupError
/// where the platform, a backend or a state's type does not serve it, and where there is nothing to round.
StateRounding choose_state_rounding(const MambaConfig& config, const Platform& platform,
                                    const std::vector<CacheGroup>& groups);

}  // namespace krait
