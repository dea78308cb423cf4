#pragma once

#include <string>

#include "kernels/kernel_library.h"
#include "models/backends/attention/attention_backend.h"
#include "models/layers/layer_context.h"

namespace krait {

/// The backend of an attention layer that asks for `form`: `--attention-backend`. Throws StartupError where the
/// platform does not compute this with the library that was chosen.
const AttentionBackend& select_attention_backend(const std::string& layer, const LayerContext& context,
                                                 const AttentionForm& form);

/// Whether `--mamba-backend` can compute the decode of a recurrent layer that asks for `form`; throws StartupError
/// where it cannot.
void require_state_update(const std::string& layer, const LayerContext& context, const StateUpdateForm& form);

}  // namespace krait
