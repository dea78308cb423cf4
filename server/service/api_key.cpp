#include "server/service/api_key.h"

namespace krait::server {

bool is_valid_bearer(std::string_view authorization, std::string_view api_key) {
  constexpr std::string_view kScheme = "Bearer ";
  if (!authorization.starts_with(kScheme) || api_key.empty()) return false;
  const std::string_view key = authorization.substr(kScheme.size());
  unsigned difference = key.size() == api_key.size() ? 0U : 1U;
  for (std::size_t i = 0; i < key.size(); ++i) {
    difference |= static_cast<unsigned char>(key[i]) ^ static_cast<unsigned char>(api_key[i % api_key.size()]);
  }
  return difference == 0;
}

std::string rate_limit_message(const TokenBucket& limit, int wait_seconds) {
  return "this API key may send " + std::to_string(limit.per_minute()) + " requests a minute; try again in " +
         std::to_string(wait_seconds) + (wait_seconds == 1 ? " second" : " seconds");
}

}  // namespace krait::server
