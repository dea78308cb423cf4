#include "server/http/api_routes.h"

#include "server/openai/responses.h"
#include "server/service/error_mapping.h"
#include "server/service/json_text.h"

namespace krait::server {
namespace {

/// A model is loaded, or a server replaced, in seconds.
constexpr int kUnavailableSeconds = 5;

HttpReply json_reply(const Json& body) { return HttpReply{.body = dump_json(body), .headers = {}}; }

HttpReply model_reply(const std::string& name, Service& service) {
  const Result<ServedModel> model = service.find_model(name);
  return model.ok() ? json_reply(model_json(*model)) : error_reply(model.error());
}

/// Not an empty list while loading: a client would take it for an answer.
HttpReply models_reply(Service& service) {
  const Result<ServedModel> any = service.find_model({});
  return any.ok() ? json_reply(model_list_json(service.models())) : error_reply(any.error());
}

/// 200 only when a request would be served; the reason otherwise.
HttpReply health_reply(Service& service) {
  const std::string reason = service.not_ready_reason();
  if (reason.empty()) return json_reply({{"status", "ok"}});
  return error_reply(Error{.code = ErrorCode::kUnavailable, .message = reason, .field = {}});
}

}  // namespace

HttpReply error_reply(const Error& error, int queue_seconds) {
  HttpReply reply{.status = error_mapping(error.code).http_status, .body = error_body(error), .headers = {}};
  if (error.code == ErrorCode::kUnauthenticated) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (error.code == ErrorCode::kResourceExhausted) {
    reply.headers.emplace_back("Retry-After", std::to_string(queue_seconds));
  }
  if (error.code == ErrorCode::kUnavailable) {
    reply.headers.emplace_back("Retry-After", std::to_string(kUnavailableSeconds));
  }
  return reply;
}

HttpReply answer_simple_route(const Route& route, HttpContext& context) {
  switch (route.endpoint) {
    case Endpoint::kModels:
      return models_reply(context.service);
    case Endpoint::kModel:
      return model_reply(route.parameter, context.service);
    case Endpoint::kHealth:
      return health_reply(context.service);
    case Endpoint::kVersion:
      return json_reply({{"version", KRAIT_VERSION}});
    case Endpoint::kMetrics:
      return HttpReply{
          .content_type = "text/plain; version=0.0.4; charset=utf-8", .body = context.metrics_text(), .headers = {}};
    case Endpoint::kCompletions:
    case Endpoint::kChat:
    case Endpoint::kTokenize:
    case Endpoint::kDetokenize:
    case Endpoint::kSaveSession:
    case Endpoint::kListSessions:
    case Endpoint::kForkSession:
    case Endpoint::kDeleteSession:
    case Endpoint::kGetSessionFile:
    case Endpoint::kPutSessionFile:
      break;
  }
  KRAIT_BUG("not a simple route");
}

}  // namespace krait::server
