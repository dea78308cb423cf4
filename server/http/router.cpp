#include "server/http/router.h"

#include <array>
#include <charconv>

namespace krait::server {
namespace {

struct RouteRow {
  std::string_view path;
  std::string_view method;
  Endpoint endpoint;
};

constexpr std::array<RouteRow, 8> kRoutes = {{
    {"/v1/completions", "POST", Endpoint::kCompletions},
    {"/v1/chat/completions", "POST", Endpoint::kChat},
    {"/tokenize", "POST", Endpoint::kTokenize},
    {"/detokenize", "POST", Endpoint::kDetokenize},
    {"/v1/models", "GET", Endpoint::kModels},
    {"/health", "GET", Endpoint::kHealth},
    {"/version", "GET", Endpoint::kVersion},
    {"/metrics", "GET", Endpoint::kMetrics},
}};
constexpr std::string_view kModelPrefix = "/v1/models/";

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

/// A malformed escape stays as it is: the name is then simply not found.
std::string percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '%' && i + 2 < text.size()) {
      const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, code, 16);
      if (error == std::errc() && end == text.data() + i + 3) {
        out += static_cast<char>(code);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

RouteMatch not_found(std::string_view method, std::string_view path) {
  RouteMatch match;
  match.failure.error = {.code = ErrorCode::kNotFound,
                         .message = "there is nothing at " + std::string(method) + " " + std::string(path),
                         .field = {}};
  return match;
}

/// RFC 9110 wants Allow with every 405.
RouteMatch wrong_method(std::string_view method, std::string_view path, std::string_view allowed) {
  RouteMatch match;
  match.failure.error = {
      .code = ErrorCode::kMethodNotAllowed,
      .message = std::string(method) + " is not allowed at " + std::string(path) + "; use " + std::string(allowed),
      .field = {}};
  match.failure.allow = allowed;
  return match;
}

}  // namespace

RouteMatch match_route(std::string_view method, std::string_view target) {
  const std::string_view path = path_of(target);
  RouteMatch match;
  for (const RouteRow& row : kRoutes) {
    if (row.path != path) continue;
    if (row.method != method) return wrong_method(method, path, row.method);
    match.route.endpoint = row.endpoint;
    match.found = true;
    return match;
  }
  if (!path.starts_with(kModelPrefix) || path.size() == kModelPrefix.size()) return not_found(method, path);
  if (method != "GET") return wrong_method(method, path, "GET");
  match.route = {.endpoint = Endpoint::kModel, .parameter = percent_decode(path.substr(kModelPrefix.size()))};
  match.found = true;
  return match;
}

bool is_public(std::string_view target) {
  const std::string_view path = path_of(target);
  return path == "/health" || path == "/version";
}

}  // namespace krait::server
