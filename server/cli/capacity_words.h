#pragma once

#include <cstdint>
#include <string>

#include "engine/model_summary.h"

namespace krait::server {

/// "131,072".
[[nodiscard]] std::string grouped_digits(std::int64_t number);

/// The cache budget in tokens and in requests: "8.0 GiB: 1,048,576 tokens of KV, or 140 requests of 4,096 tokens with
/// their states (54.6 MiB each)".
[[nodiscard]] std::string capacity_words(const ModelSummary& summary);

/// The bounds: "at most 360 requests at once, 4 of 131,072 tokens".
[[nodiscard]] std::string at_once_words(const ModelSummary& summary);

}  // namespace krait::server
