#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "engine/serving_model.h"

namespace krait::server {

/// "1024", "512KiB", "64MiB", "2GiB", "1.5GB"; nullopt for anything else, and for what does not fit.
std::optional<std::size_t> parse_byte_size(std::string_view text);
/// A size, or a share "0.5" greater than 0 and at most 1 (written with a point).
std::optional<CacheMemory> parse_cache_memory(std::string_view text);
/// "1.5 GiB": for people.
std::string format_byte_size(std::size_t bytes);

}  // namespace krait::server
