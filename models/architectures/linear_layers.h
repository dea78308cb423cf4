#pragma once

#include <vector>

#include "models/config/config_reader.h"

namespace krait {

/// Which layers are linear attention (true) and which full attention, of a model with these two kinds: `layer_types`,
/// and where that is absent every `interval`-th layer is full. Throws StartupError for another kind or another number
/// of entries.
std::vector<bool> read_linear_layers(const ConfigReader& reader, int num_layers, int interval);

}  // namespace krait
