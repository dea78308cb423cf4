#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace krait::server {

/// The table of families and layer kinds that `krait info --supported` prints and README.md holds, as Markdown.
std::string supported_markdown();
/// The same as a list of {"architecture", "family", "kinds", "verified"}.
nlohmann::json supported_json();

}  // namespace krait::server
