#include "server/http/header_list.h"

#include <cctype>
#include <cstddef>

namespace krait::server {

std::string header_list(const std::vector<std::string>& names) {
  constexpr std::size_t kMaxBytes = 1024;
  std::string out;
  for (const std::string& name : names) {
    if (out.size() + name.size() > kMaxBytes) break;
    if (!out.empty()) out += ", ";
    for (char c : name) {
      const bool safe = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.';
      out += safe ? c : '?';
    }
  }
  return out;
}

}  // namespace krait::server
