#pragma once

#include <string_view>

namespace krait::server {

/// True when `authorization` is "Bearer KEY" with the right key. Takes a time that does not depend on where a wrong key
/// differs.
bool is_valid_bearer(std::string_view authorization, std::string_view api_key);

}  // namespace krait::server
