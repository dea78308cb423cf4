#pragma once

#include <string>
#include <vector>

namespace krait::server {

/// Names of fields for a header's value, "a, b". They are the client's text: only what is safe in a header is copied,
/// and at most about a kilobyte.
std::string header_list(const std::vector<std::string>& names);

}  // namespace krait::server
