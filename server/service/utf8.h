#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace krait::server {

/// Offset of the first byte that is not part of valid UTF-8 (overlong forms, surrogates and values past U+10FFFF are
/// not); nullopt when the whole text is valid.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);
/// Code points of a valid text.
std::size_t count_characters(std::string_view text);

}  // namespace krait::server
