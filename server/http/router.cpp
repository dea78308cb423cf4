#include "server/http/router.h"

#include <array>
#include <charconv>
#include <optional>

namespace krait::server {
namespace {

struct RouteRow {
  std::string_view path;
  std::string_view method;
  Endpoint endpoint;
};

/// A `*` stands for a name. Rows of one path are neighbours.
constexpr std::array<RouteRow, 15> kRoutes = {{
    {"/v1/completions", "POST", Endpoint::kCompletions},
    {"/v1/chat/completions", "POST", Endpoint::kChat},
    {"/tokenize", "POST", Endpoint::kTokenize},
    {"/detokenize", "POST", Endpoint::kDetokenize},
    {"/v1/models", "GET", Endpoint::kModels},
    {"/v1/sessions", "GET", Endpoint::kListSessions},
    {"/v1/sessions", "POST", Endpoint::kSaveSession},
    {"/v1/sessions/*/fork", "POST", Endpoint::kForkSession},
    {"/v1/sessions/*/file", "GET", Endpoint::kGetSessionFile},
    {"/v1/sessions/*/file", "PUT", Endpoint::kPutSessionFile},
    {"/v1/sessions/*", "DELETE", Endpoint::kDeleteSession},
    {"/v1/models/**", "GET", Endpoint::kModel},
    {"/health", "GET", Endpoint::kHealth},
    {"/version", "GET", Endpoint::kVersion},
    {"/metrics", "GET", Endpoint::kMetrics},
}};

/// What stands in place of the pattern's name (empty when it has none), or nullopt for another path. A name is not
/// empty, and `*` takes none with a slash; `**`, at the end, takes any.
std::optional<std::string_view> match_path(std::string_view pattern, std::string_view path) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == path ? std::optional(std::string_view()) : std::nullopt;
  const bool with_slashes = pattern.ends_with("**");
  const std::string_view before = pattern.substr(0, star);
  const std::string_view after = with_slashes ? std::string_view() : pattern.substr(star + 1);
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after)) {
    return std::nullopt;
  }
  const std::string_view name = path.substr(before.size(), path.size() - before.size() - after.size());
  if (!with_slashes && name.find('/') != std::string_view::npos) return std::nullopt;
  return name;
}

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
  std::string allowed;
  for (const RouteRow& row : kRoutes) {
    const auto name = match_path(row.path, path);
    if (!name.has_value()) continue;
    if (row.method != method) {
      allowed += (allowed.empty() ? "" : ", ") + std::string(row.method);
      continue;
    }
    RouteMatch match;
    match.route = {.endpoint = row.endpoint, .parameter = percent_decode(*name)};
    match.found = true;
    return match;
  }
  return allowed.empty() ? not_found(method, path) : wrong_method(method, path, allowed);
}

bool is_public(std::string_view target) {
  const std::string_view path = path_of(target);
  return path == "/health" || path == "/version";
}

}  // namespace krait::server
