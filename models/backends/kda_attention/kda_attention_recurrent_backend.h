#pragma once

#include <memory>

#include "models/backends/layer_backend.h"

namespace krait {

/// "kda_attention": the token recurrence, in prefill as in decode. Exact under any cut of a prompt.
std::unique_ptr<MambaBackend> make_kda_attention_recurrent_backend();

}  // namespace krait
