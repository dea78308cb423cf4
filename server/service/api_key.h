#pragma once

#include <string>
#include <string_view>

#include "server/service/token_bucket.h"

namespace krait::server {

/// True when `authorization` is "Bearer KEY" with the right key. Takes a time that does not depend on where a wrong key
/// differs.
bool is_valid_bearer(std::string_view authorization, std::string_view api_key);

/// Why a request of a key that has used up its rate is refused.
std::string rate_limit_message(const TokenBucket& limit, int wait_seconds);

}  // namespace krait::server
