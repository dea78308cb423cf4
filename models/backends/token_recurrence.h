#pragma once

#include <span>

#include "kernels/operations.h"
#include "models/backends/layer_backend.h"
#include "models/backends/sequence_waves.h"

namespace krait {

/// What every backend can do that runs its recurrence token by token: exact under any cut, and so able to leave a state
/// anywhere inside a prefill.
const BackendCapabilities& token_recurrence_capabilities();
/// Those of the selective state space recurrences (Mamba-1, Mamba-2).
const BackendCapabilities& selective_recurrence_capabilities();

/// The convolution in front of a recurrence, wave after wave; `args.batch` is filled in here. Convolution states and
/// recurrent ones lie apart, so that all waves may be convolved before the first is scanned.
void convolve_waves(Operations& ops, std::span<const SequenceWave> waves, CausalConv1dArgs args);

}  // namespace krait
