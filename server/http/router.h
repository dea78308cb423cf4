#pragma once

#include <string>
#include <string_view>

#include "kernels/result.h"

namespace krait::server {

enum class Endpoint {
  kCompletions,
  kChat,
  kTokenize,
  kDetokenize,
  kModels,
  kModel,
  kSaveSession,
  kListSessions,
  kForkSession,
  kDeleteSession,
  kGetSessionFile,
  kPutSessionFile,
  kHealth,
  kVersion,
  kMetrics
};

struct Route {
  Endpoint endpoint = Endpoint::kHealth;
  std::string parameter;  ///< of kModel and the sessions' endpoints: the name, percent-decoded
};

struct RouteError {
  Error error;
  std::string allow;  ///< with kMethodNotAllowed: the header `Allow`
};

/// A route, or why there is none.
struct RouteMatch {
  Route route;
  RouteError failure;
  bool found = false;
};

/// `target` as in the request line; a query is ignored.
RouteMatch match_route(std::string_view method, std::string_view target);

/// True for what needs no key: /health and /version.
bool is_public(std::string_view target);

}  // namespace krait::server
