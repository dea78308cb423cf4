#pragma once

#include <nlohmann/json.hpp>

namespace krait::bench {

/// granite-4.0-h-350m's configuration: 340 M parameters, 22 MiB of state a request.
nlohmann::json shape_350m();

/// The same kind of model, of 4 layers and 64 columns, where only tokens are counted.
nlohmann::json shape_small();

}  // namespace krait::bench
